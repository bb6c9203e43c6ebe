"""The Pulumi program for `pulumi preview` by hand; see Pulumi.yaml."""

from hostler.provision.byhand import run

run()
