"""Which rights of IAM the lab's cloud reads from a request; no cloud is started."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import urlencode

import pytest

from .cloud.client import access_key
from .cloud.faults import Faults
from .cloud.rights import Permit
from .cloud.wire import Call, path_style, read_call

SCOPE = "AWS4-HMAC-SHA256 Credential={key}/20261201/{region}/{service}/aws4_request, SignedHeaders=host, Signature=x"
TAG = {"TagSpecification.1.Tag.1.Key": "hostler:uid", "TagSpecification.1.Tag.1.Value": "u1"}


def request(
    service: str, method: str = "POST", path: str = "/", query: str = "", body: str = "", **headers: str
) -> Call:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "wsgi.input": io.BytesIO(body.encode()),
        "CONTENT_LENGTH": str(len(body)), "HTTP_HOST": f"{service}.eu-central-1.amazonaws.com",
        "HTTP_AUTHORIZATION": SCOPE.format(key="AKIAONE", region="eu-central-1", service=service), **headers,
    }  # fmt: skip
    path_style(environ)
    return read_call(environ)


def form(service: str, **words: str) -> Call:
    kind = {"CONTENT_TYPE": "application/x-www-form-urlencoded; charset=utf-8"}
    return request(service, body=urlencode(words), **kind)


def target(service: str, name: str) -> Call:
    return request(service, body="{}", CONTENT_TYPE="application/x-amz-json-1.1", HTTP_X_AMZ_TARGET=name)


@pytest.mark.parametrize(
    ("call", "needs"),
    [
        (form("ec2", Action="DescribeVpcs", Version="2016-11-15"), "ec2:DescribeVpcs"),
        (form("ec2", Action="CreateVpc"), "ec2:CreateVpc"),
        (form("ec2", Action="CreateVpc", **TAG), "ec2:CreateTags ec2:CreateVpc"),
        (form("sts", Action="GetCallerIdentity"), "sts:GetCallerIdentity"),
        (form("iam", Action="ListUsers"), "iam:ListUsers"),
        (target("kms", "TrentService.Decrypt"), "kms:Decrypt"),
        (target("ssm", "AmazonSSM.GetParameter"), "ssm:GetParameter"),
        (target("pricing", "AWSPriceListService.GetProducts"), "pricing:GetProducts"),
        (target("servicequotas", "ServiceQuotasV20190624.GetServiceQuota"), "servicequotas:GetServiceQuota"),
    ],
)
def test_by_name(call: Call, needs: str) -> None:
    assert (call.rights, call.key) == (frozenset(needs.split()), "AKIAONE")


@pytest.mark.parametrize(
    ("method", "place", "needs"),
    [
        ("GET", "/", "s3:ListAllMyBuckets"),
        ("HEAD", "/b", "s3:ListBucket"),
        ("GET", "/b?list-type=2&prefix=p%2F", "s3:ListBucket"),
        ("GET", "/b?versions", "s3:ListBucketVersions"),
        ("GET", "/b?location", "s3:GetBucketLocation"),
        ("GET", "/b?tagging", "s3:GetBucketTagging"),
        ("PUT", "/b?tagging", "s3:PutBucketTagging"),
        ("PUT", "/b?versioning", "s3:PutBucketVersioning"),
        ("PUT", "/b?encryption", "s3:PutEncryptionConfiguration"),
        ("PUT", "/b?publicAccessBlock", "s3:PutBucketPublicAccessBlock"),
        ("PUT", "/b", "s3:CreateBucket"),
        ("DELETE", "/b", "s3:DeleteBucket"),
        ("POST", "/b?delete", "s3:DeleteObject"),
        ("HEAD", "/b/a/k.json", "s3:GetObject"),
        ("GET", "/b/a/k.json", "s3:GetObject"),
        ("GET", "/b/k?versionId=1", "s3:GetObjectVersion"),
        ("PUT", "/b/k", "s3:PutObject"),
        ("POST", "/b/k?uploads", "s3:PutObject"),
        ("DELETE", "/b/k?uploadId=1", "s3:AbortMultipartUpload"),
        ("DELETE", "/b/k", "s3:DeleteObject"),
    ],
)
def test_of_s3(method: str, place: str, needs: str) -> None:
    path, _, query = place.partition("?")
    assert request("s3", method, path, query).rights == {needs}
    named = {"HTTP_HOST": "b.s3.eu-central-1.amazonaws.com"}
    if path != "/":
        assert request("s3", method, path.removeprefix("/b") or "/", query, **named).rights == {needs}


def test_a_copy_reads_what_it_copies() -> None:
    call = request("s3", "PUT", "/b/to", HTTP_X_AMZ_COPY_SOURCE="b/from%20here")
    assert call.rights == {"s3:GetObject", "s3:PutObject"}
    one = {"Action": ["s3:GetObject", "s3:PutObject"], "Resource": ["arn:aws:s3:::b/to"]}
    assert Permit({"Statement": [one]}, lambda *_: {}).refuses(call) == [
        "s3:GetObject on resource: arn:aws:s3:::b/from here"
    ]


def test_who_called_what_is_remembered_and_what_is_not_permitted_refused() -> None:
    faults = Faults()
    ours = {"StringEquals": {"aws:ResourceTag/hostler:uid": "u1"}}
    policy = {"Statement": [{"Action": ["ec2:TerminateInstances"], "Resource": ["*"], "Condition": ours}]}
    tags = {"i-0000aaaa": {"hostler:uid": "u1"}, "i-0000bbbb": {"hostler:uid": "u2"}}
    faults.permits["AKIAONE"] = Permit(policy, lambda _, name: tags[name])
    end = {"Action": "TerminateInstances", "InstanceId.1": "i-0000aaaa"}
    assert not faults.take(form("ec2", **end)).code
    assert faults.take(form("ec2", **end, **{"InstanceId.2": "i-0000bbbb"})).code == "denied"
    assert faults.take(form("ec2", Action="DescribeVpcs")).code == "denied"
    assert not faults.take(form("sts", Action="GetCallerIdentity")).code
    arn = "arn:aws:ec2:eu-central-1:123456789012:instance/i-0000bbbb"
    assert faults.refused == [f"ec2:TerminateInstances on resource: {arn}", "ec2:DescribeVpcs on resource: *"]
    assert faults.called == {
        "AKIAONE": {"ec2:TerminateInstances", "ec2:DescribeVpcs", "sts:GetCallerIdentity"}
    }
    faults.forget()
    assert (faults.called, faults.permits, faults.refused) == ({}, {}, [])


def test_a_name_has_always_the_same_key_and_no_two_the_same() -> None:
    assert access_key("controller") == access_key("controller")
    assert len({access_key(name) for name in ("", "controller", "other")}) == 3
    assert len(access_key("controller")) == 20
