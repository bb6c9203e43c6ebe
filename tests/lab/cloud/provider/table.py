"""All resource types that the stand-in has."""

from .groups import GROUP, rule_type
from .identities import ATTACHMENT, KEY, POLICY, PROFILE, ROLE
from .instances import INSTANCE
from .networks import ADDRESS, ASSOCIATION, GATEWAY, SUBNET, TABLE, VPC
from .types import Type

TYPES: dict[str, Type] = {
    "aws:ec2/eip:Eip": ADDRESS,
    "aws:ec2/instance:Instance": INSTANCE,
    "aws:ec2/internetGateway:InternetGateway": GATEWAY,
    "aws:ec2/keyPair:KeyPair": KEY,
    "aws:ec2/routeTable:RouteTable": TABLE,
    "aws:ec2/routeTableAssociation:RouteTableAssociation": ASSOCIATION,
    "aws:ec2/securityGroup:SecurityGroup": GROUP,
    "aws:ec2/subnet:Subnet": SUBNET,
    "aws:ec2/vpc:Vpc": VPC,
    "aws:iam/instanceProfile:InstanceProfile": PROFILE,
    "aws:iam/role:Role": ROLE,
    "aws:iam/rolePolicy:RolePolicy": POLICY,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ATTACHMENT,
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": rule_type("egress"),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": rule_type("ingress"),
}
