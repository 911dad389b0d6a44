"""ACM on the load balancer: certificates imported with boto3 and the aws command, with AWS's refusals."""

import datetime
import pathlib
import subprocess

import botocore.exceptions
import pytest

from conftest import aws_cli, client, free_port

RSA = ["-newkey", "rsa:2048"]
EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]


class Maker:
    """Makes certificates with the openssl command."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def run(self, *words):
        subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60)

    def path(self, name):
        return self.folder / name

    def read(self, name):
        return self.path(name).read_bytes()

    def self_signed(
        self, name, subject="/C=FR/O=Lab/CN=www.example.com", more=(), key=EC
    ):
        self.run(
            *["req", "-x509", "-nodes", *key, "-keyout", self.path(f"{name}.key")],
            *["-out", self.path(f"{name}.pem"), "-days", "30", "-subj", subject, *more],
        )
        return self

    def signed_by(
        self, ca, name, subject="/CN=app.example.com", days="30", is_ca=False
    ):
        extensions = self.path(f"{name}.ext")
        extensions.write_text(
            "basicConstraints=critical,CA:TRUE\n"
            if is_ca
            else "subjectAltName=DNS:app.example.com,DNS:*.example.org\n"
            "keyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth\n"
        )
        self.run(
            *["req", "-nodes", *EC, "-keyout", self.path(f"{name}.key")],
            *["-out", self.path(f"{name}.csr"), "-subj", subject],
        )
        self.run(
            *["x509", "-req", "-in", self.path(f"{name}.csr"), "-days", days],
            *["-CA", self.path(f"{ca}.pem"), "-CAkey", self.path(f"{ca}.key")],
            *["-CAcreateserial", "-extfile", extensions],
            *["-out", self.path(f"{name}.pem")],
        )
        return self


@pytest.fixture
def make(tmp_path):
    return Maker(tmp_path)


@pytest.fixture
def endpoint(programs):
    port = free_port()
    path = programs.config({"Lb": {"ApiAddress": f"127.0.0.1:{port}"}})
    programs.start("albatross-lb", "-c", path).wait_log("ready api")
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def acm(endpoint):
    return client("acm", endpoint)


def put(acm, make, name, chain=None, key=None, **more):
    if chain:
        more["CertificateChain"] = b"".join(make.read(f"{c}.pem") for c in chain)
    return acm.import_certificate(
        Certificate=make.read(f"{name}.pem"),
        PrivateKey=make.read(f"{key or name}.key"),
        **more,
    )["CertificateArn"]


def refused(code, words, call, *args, **more):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(*args, **more)
    error = caught.value.response["Error"]
    assert error["Code"] == code and words in error["Message"], error
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_self_signed_certificate_lives_from_import_to_delete(acm, make):
    make.self_signed("web", key=RSA, more=["-addext", "subjectAltName=DNS:example.com"])
    tags = [{"Key": "by", "Value": "test"}]
    arn = put(acm, make, "web", Tags=tags)
    assert arn.startswith("arn:aws:acm:us-east-1:000000000000:certificate/")
    got = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert (got["Status"], got["Type"]) == ("ISSUED", "IMPORTED")
    assert got["DomainName"] == "www.example.com"
    assert got["SubjectAlternativeNames"] == ["www.example.com", "example.com"]
    assert (got["KeyAlgorithm"], got["SignatureAlgorithm"]) == (
        "RSA_2048",
        "SHA256WITHRSA",
    )
    assert got["Subject"] == "C=FR,O=Lab,CN=www.example.com" and got["Issuer"] == "Lab"
    assert got["InUseBy"] == []
    left = got["NotAfter"] - datetime.datetime.now(datetime.timezone.utc)
    assert 28 < left.days < 31
    assert got["ImportedAt"].year >= 2026
    (one,) = acm.list_certificates()["CertificateSummaryList"]
    assert (one["CertificateArn"], one["InUse"]) == (arn, False)
    pem = acm.get_certificate(CertificateArn=arn)
    assert pem["Certificate"].encode() == make.read("web.pem")
    assert acm.list_tags_for_certificate(CertificateArn=arn)["Tags"] == tags
    acm.add_tags_to_certificate(CertificateArn=arn, Tags=[{"Key": "a", "Value": "1"}])
    acm.remove_tags_from_certificate(CertificateArn=arn, Tags=[{"Key": "by"}])
    assert acm.list_tags_for_certificate(CertificateArn=arn)["Tags"] == [
        {"Key": "a", "Value": "1"}
    ]
    acm.delete_certificate(CertificateArn=arn)
    refused(
        "ResourceNotFoundException", arn, acm.describe_certificate, CertificateArn=arn
    )
    assert acm.list_certificates()["CertificateSummaryList"] == []


def test_a_chain_must_lead_to_the_certificate(acm, make):
    make.self_signed("root", "/CN=root").self_signed("other", "/CN=other")
    make.signed_by("root", "middle", "/CN=middle", is_ca=True)
    make.signed_by("middle", "leaf")
    arn = put(acm, make, "leaf", chain=["middle", "root"])
    got = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert got["SubjectAlternativeNames"] == ["app.example.com", "*.example.org"]
    assert got["KeyAlgorithm"] == "EC_prime256v1" and got["Issuer"] == "middle"
    assert {u["Name"] for u in got["KeyUsages"]} == {
        "DIGITAL_SIGNATURE",
        "KEY_ENCIPHERMENT",
    }
    assert got["ExtendedKeyUsages"] == [
        {"Name": "TLS_WEB_SERVER_AUTHENTICATION", "OID": "1.3.6.1.5.5.7.3.1"}
    ]
    assert put(acm, make, "leaf", chain=["middle"])
    for chain in (["other"], ["root"], ["other", "root"]):
        refused(
            *("ValidationException", "with the certificate chain", put),
            *(acm, make, "leaf", chain),
        )
    refused("ValidationException", "not a valid self signed", put, acm, make, "leaf")
    # As at AWS, a list without key types shows RSA keys of up to 2048 bits.
    assert acm.list_certificates()["CertificateSummaryList"] == []
    found = acm.list_certificates(Includes={"keyTypes": ["EC_prime256v1"]})
    assert len(found["CertificateSummaryList"]) == 2


def test_what_does_not_belong_together_is_refused(acm, make):
    make.self_signed("a").self_signed("b")
    make.run("req", "-x509", *EC, "-keyout", make.path("locked.key"), "-out",
             make.path("locked.pem"), "-subj", "/CN=x.y", "-passout", "pass:abcd")  # fmt: skip
    no = "ValidationException"
    refused(no, "does not match", put, acm, make, "a", key="b")
    refused(no, "encrypted", put, acm, make, "locked")
    twice = make.read("a.pem") + make.read("b.pem")
    key = make.read("a.key")
    for certificate, words in (
        (twice, "more than one certificate"),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "not a PEM",
        ),
        (b"\0\1\2", "base64"),
        (key, "not a PEM"),
    ):
        refused(
            *(no, words, acm.import_certificate),
            **{"Certificate": certificate, "PrivateKey": key},
        )
    refused(
        *(no, "private key", acm.import_certificate),
        **{"Certificate": make.read("a.pem"), "PrivateKey": make.read("b.pem")},
    )
    make.self_signed("root", "/CN=root")
    make.signed_by("root", "late", days="-1")
    refused(no, "expired", put, acm, make, "late", ["root"])
    make.run("req", "-x509", "-nodes", "-newkey", "ed25519", "-keyout", make.path("ed.key"),
             "-out", make.path("ed.pem"), "-subj", "/CN=ed.example.com")  # fmt: skip
    refused(no, "key algorithm", put, acm, make, "ed")
    assert acm.list_certificates()["CertificateSummaryList"] == []


def test_a_certificate_is_renewed_by_importing_it_again(acm, make, endpoint):
    make.self_signed("first", key=RSA).self_signed(
        "second", "/CN=two.example.com", key=RSA
    )
    arn = put(acm, make, "first")
    assert put(acm, make, "second", CertificateArn=arn) == arn
    got = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert got["DomainName"] == "two.example.com"
    gone = arn[:-12] + "0" * 12
    refused(
        *("ResourceNotFoundException", gone, put, acm, make, "first"),
        CertificateArn=gone,
    )
    refused(
        *("ValidationException", "re-import", put, acm, make, "first"),
        **{"CertificateArn": arn, "Tags": [{"Key": "a", "Value": "b"}]},
    )
    made = aws_cli(
        *(endpoint, "acm", "import-certificate"),
        *("--certificate", f"fileb://{make.path('first.pem')}"),
        *("--private-key", f"fileb://{make.path('first.key')}"),
    )
    listed = aws_cli(endpoint, "acm", "list-certificates")["CertificateSummaryList"]
    assert {c["CertificateArn"] for c in listed} == {arn, made["CertificateArn"]}


def test_pages_of_certificates(acm, make):
    make.self_signed("web", key=RSA)
    arns = {put(acm, make, "web") for _ in range(5)}
    pages = list(
        acm.get_paginator("list_certificates").paginate(
            PaginationConfig={"PageSize": 2}
        )
    )
    assert [len(p["CertificateSummaryList"]) for p in pages] == [2, 2, 1]
    assert {
        c["CertificateArn"] for p in pages for c in p["CertificateSummaryList"]
    } == arns
