"""The real terraform with the real AWS provider, where a machine has both; skips loudly where it has not.

The provider is looked for in file-system mirrors (TERRAFORM_MIRROR, then the usual places); nothing
is downloaded. Its fixed pauses (30 s after it made a load balancer, and the like) set the pace of
these tests, not the server.
"""

import json
import os
import pathlib
import shutil
import subprocess
import warnings

import pytest

import conftest as shared

MIRRORS = (
    os.environ.get("TERRAFORM_MIRROR", ""),
    "/opt/tf-plugins",
    "/usr/share/terraform/plugins",
    "/usr/local/share/terraform/plugins",
    os.path.expanduser("~/.terraform.d/plugins"),
)
PROVIDER = "registry.terraform.io/hashicorp/aws"
SERVICES = (
    "acm",
    "autoscaling",
    "cloudwatch",
    "ec2",
    "elbv2",
    "iam",
    "sns",
    "ssm",
    "sts",
)


def mirror():
    """The root of a mirror with the provider unpacked in it, or None."""
    for root in filter(None, MIRRORS):
        found = pathlib.Path(root).glob(f"{PROVIDER}/*/*/terraform-provider-aws_v*")
        if any(found):
            return root
    return None


def absence():
    """Why there can be no test, or None."""
    if not shutil.which("terraform"):
        return "terraform is not installed"
    if not mirror():
        return "no file-system mirror with the AWS provider (TERRAFORM_MIRROR=DIRECTORY names one)"
    return None


def require():
    why = absence()
    if why:
        warnings.warn(f"TERRAFORM NOT TESTED: {why}")
        pytest.skip(f"TERRAFORM NOT TESTED: {why}")


class Terraform:
    """One working directory. endpoint: where all of AWS's services answer."""

    def __init__(self, folder, endpoint):
        require()
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.write_settings(endpoint)
        config = self.folder / "cli.tfrc"
        config.write_text(
            "provider_installation {\n"
            f'  filesystem_mirror {{ path = "{mirror()}" }}\n'
            "}\n"
        )
        self.env = {
            **os.environ,
            "TF_CLI_CONFIG_FILE": str(config),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def write_settings(self, endpoint):
        provider = {
            "region": "us-east-1",
            "access_key": "test",
            "secret_key": "test",
            "max_retries": 3,
            "endpoints": [{service: endpoint for service in SERVICES}],
        }
        document = {
            "terraform": {"required_providers": {"aws": {"source": "hashicorp/aws"}}},
            "provider": {"aws": provider},
        }
        (self.folder / "provider.tf.json").write_text(json.dumps(document, indent=1))

    def write(self, text, name="main.tf"):
        (self.folder / name).write_text(text)
        return self

    def variables(self, **values):
        """Sets variables, for all that follows."""
        path = self.folder / "terraform.tfvars.json"
        old = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**old, **values}))
        return self

    def run(self, *words, statuses=(0,), timeout=400):
        done = subprocess.run(
            ["terraform", *words],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout * shared.SLOW,
        )
        assert (
            done.returncode in statuses
        ), f"terraform {words}:\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        return done

    def init(self):
        self.run("init", "-no-color")
        return self

    def apply(self, *more):
        return self.run("apply", "-auto-approve", "-no-color", *more).stdout

    def apply_plan(self):
        """What plan() showed, without asking for everything again."""
        return self.run("apply", "-no-color", "plan.bin").stdout

    def destroy(self):
        return self.run("destroy", "-auto-approve", "-no-color").stdout

    def plan_is_empty(self):
        """Asserts that what is there is what is wanted; shows the plan where it is not."""
        done = self.run(
            "plan", "-detailed-exitcode", "-no-color", "-lock=false", statuses=(0, 2)
        )
        assert done.returncode == 0, done.stdout[-6000:]

    def plan(self):
        """{address: [actions]} of what would change."""
        self.run("plan", "-out=plan.bin", "-no-color")
        shown = json.loads(self.run("show", "-json", "plan.bin").stdout)
        return {
            change["address"]: change["change"]["actions"]
            for change in shown.get("resource_changes", [])
            if change["change"]["actions"] not in (["no-op"], ["read"])
        }

    def outputs(self):
        values = json.loads(self.run("output", "-json").stdout)
        return {name: value["value"] for name, value in values.items()}
