"""`image:` of the stack file as an AMI of a region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hostler.cloud.session import asking, client, side_by_side
from hostler.cloud.trouble import AwsError
from hostler.errors import ProvisionError

# public SSM parameters, of AWS and of Canonical
PARAMETERS = {
    "nvidia": "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id",
    "ubuntu-24.04": "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
    "ubuntu-22.04": "/aws/service/canonical/ubuntu/server/22.04/stable/current/amd64/hvm/ebs-gp2/ami-id",
}
# the login user of the makers' images, by a part of the image's name
USERS = (
    ("ubuntu", "ubuntu"),
    ("amazon linux", "ec2-user"),
    ("al2023", "ec2-user"),
    ("amzn2", "ec2-user"),
    ("rhel", "ec2-user"),
    ("debian", "admin"),
    ("rocky", "rocky"),
    ("almalinux", "ec2-user"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What a host boots. `disk_gib`: no smaller root disk is possible; `user`: who may log in."""

    ami: str
    name: str
    user: str
    disk_gib: int


def resolve(image: str, regions: Sequence[str]) -> Mapping[str, Image]:
    """The image by region, all regions side by side: `nvidia`, `ubuntu-24.04`, `ubuntu-22.04` or `ami-...` (which is of
    one region; the others are left out). Raises ProvisionError."""
    if image not in PARAMETERS and not image.startswith("ami-"):
        words = ", ".join(PARAMETERS)
        raise ProvisionError.of(f"image {image}", expected=f"{words} or an AMI's id", got=image)
    found = side_by_side(lambda region: _in(image, region), regions)
    if not any(found.values()):
        raise ProvisionError.of(
            f"image {image}",
            expected=f"an image of {' or '.join(regions)}",
            got="none that this account may use",
            next_step="an AMI's id is of one region: look there with `aws ec2 describe-images --image-ids`",
        )
    return {region: one for region, one in found.items() if one}


def user_of(name: str) -> str:
    """Who may log in to an image of this name; ubuntu where the name says nothing."""
    return next((user for part, user in USERS if part in name.lower()), "ubuntu")


def _in(image: str, region: str) -> Image | None:
    ami = image if image.startswith("ami-") else _parameter(image, region)
    try:
        with asking(f"image {ami} in {region}", region):
            found = client("ec2", region).describe_images(ImageIds=[ami])["Images"]
    except AwsError as error:
        if error.aws_code.startswith("InvalidAMIID"):
            return None
        raise
    return _image(found[0], region) if found else None


def _parameter(image: str, region: str) -> str:
    with asking(f"image {image} in {region}", region):
        ssm = client("ssm", region)
        try:
            return ssm.get_parameter(Name=PARAMETERS[image])["Parameter"]["Value"]
        except ssm.exceptions.ParameterNotFound:
            raise ProvisionError.of(
                f"image {image} in {region}",
                expected=f"an AMI under {PARAMETERS[image]}",
                got="no such parameter in this region",
                next_step="name an AMI's id as the image, or take the region out of the stack file",
            ) from None


def _image(said: dict[str, Any], region: str) -> Image:
    name = said.get("Name", "")
    where = f"image {said['ImageId']} ({name}) in {region}"
    if said.get("State") != "available":
        raise ProvisionError.of(where, expected="one that is available", got=str(said.get("State")))
    if said.get("Architecture") != "x86_64":
        raise ProvisionError.of(where, expected="one for x86_64", got=str(said.get("Architecture")))
    disks = {one.get("DeviceName"): one.get("Ebs", {}) for one in said.get("BlockDeviceMappings", [])}
    disk = disks.get(said.get("RootDeviceName"), {}).get("VolumeSize", 0)
    return Image(ami=said["ImageId"], name=name, user=user_of(name), disk_gib=int(disk))
