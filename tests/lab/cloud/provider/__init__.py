"""A stand-in for pulumi-resource-aws: the real engine and pulumi_aws talk to it, boto3 is behind it."""
