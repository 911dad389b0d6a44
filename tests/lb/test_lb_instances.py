"""Instance targets: their addresses are EC2's to tell, and EC2 may be slow, down, or change its mind."""

import conftest as shared
from lb_services import Recorder
from lb_fixtures import backends, start_lb  # noqa: F401 (fixtures)

ID = "i-0123456789abcdef0"
ANSWER = """<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
<requestId>r</requestId><reservationSet><item><reservationId>r-0123456789abcdef0</reservationId>
<instancesSet>{}</instancesSet></item></reservationSet></DescribeInstancesResponse>"""
SUBNETS = """<DescribeSubnetsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
<requestId>r</requestId><subnetSet>{}</subnetSet></DescribeSubnetsResponse>"""
SUBNET = """<item><subnetId>{}</subnetId><vpcId>vpc-0123456789abcdef0</vpcId>
<availabilityZone>{}</availabilityZone></item>"""
INSTANCE = """<item><instanceId>{}</instanceId><privateIpAddress>{}</privateIpAddress>
<instanceState><code>{}</code><name>{}</name></instanceState></item>"""


class Ec2(Recorder):
    """Answers DescribeInstances with what the test put into `instances`."""

    instances = ""
    subnets = ""
    n_subnet_calls = 0

    def answer(self, form):
        if form["Action"] == "DescribeSubnets":
            self.n_subnet_calls += 1
            return SUBNETS.format(self.subnets).encode()
        assert form["Action"] == "DescribeInstances"
        return ANSWER.format(self.instances).encode()


def start(start_lb, ec2, backend):
    settings = {"Ec2Endpoint": ec2.url}
    lb = start_lb(settings=settings, ready=False)
    group = lb.document["TargetGroups"][0]
    group.update(TargetType="instance", Targets=[{"Id": ID, "Port": backend.port}])
    return lb.start()


def test_instance_is_initial_until_ec2_knows_its_address(start_lb, backends):
    backend = backends()
    with Ec2() as ec2:
        lb = start(start_lb, ec2, backend)
        assert lb.health() == {backend.port: ("initial", "Elb.RegistrationInProgress")}
        assert lb.status() == 503
        ec2.instances = INSTANCE.format(ID, "127.0.0.1", 16, "running")
        lb.wait_health({backend: "healthy"})
        assert lb.get() == "b0"


def test_terminated_instance_is_unused(start_lb, backends):
    backend = backends()
    with Ec2() as ec2:
        ec2.instances = INSTANCE.format(ID, "127.0.0.1", 48, "terminated")
        lb = start(start_lb, ec2, backend)
        lb.wait_health({backend: "unused"})
        assert lb.health()[backend.port][1] == "Target.InvalidState"


def test_all_of_many_instances_are_asked_for_in_turn(start_lb, backends):
    backend = backends()
    ids = [f"i-{i:017x}" for i in range(250)]
    asked = set()

    class Counting(Ec2):
        def answer(self, form):
            names = [v for k, v in form.items() if k.startswith("Filter.1.Value")]
            assert len(names) <= 200
            if self.instances:
                asked.update(names)
            self.instances = "".join(
                INSTANCE.format(i, "127.0.0.1", 16, "running") for i in ids
            )
            return super().answer(form)

    with Counting() as ec2:
        lb = start_lb(settings={"Ec2Endpoint": ec2.url}, ready=False)
        group = lb.document["TargetGroups"][0]
        group.update(
            TargetType="instance",
            HealthCheckIntervalSeconds=300,
            Targets=[{"Id": i, "Port": backend.port} for i in ids],
        )
        lb.start()
        shared.wait_for(lambda: asked == set(ids), timeout=20, what="all ids")


def test_ec2_that_is_down_is_asked_again(start_lb, backends):
    backend = backends()
    port = shared.free_port()

    class Nowhere:
        url = f"http://127.0.0.1:{port}"

    lb = start(start_lb, Nowhere, backend)
    lb.program.wait_log("instances-unresolved")
    with Ec2(port) as ec2:
        ec2.instances = INSTANCE.format(ID, "127.0.0.1", 16, "running")
        lb.wait_health({backend: "healthy"})


def test_zones_of_the_first_load_balancer_are_set_right_when_ec2_told_them(start_lb):
    subnets = [f"subnet-{i:017x}" for i in range(3)]
    with Ec2() as ec2:
        ec2.subnets = SUBNET.format(subnets[0], "us-east-1f") + SUBNET.format(
            subnets[1], "us-east-1a"
        )
        lb = start_lb(settings={"Ec2Endpoint": ec2.url})
        elb = lb.client()
        elb.create_load_balancer(Name="first", Subnets=subnets)

        def told():
            return elb.describe_load_balancers(Names=["first"])["LoadBalancers"][0]

        shared.wait_for(lambda: told().get("VpcId"), what="the VPC")
        assert told()["VpcId"] == "vpc-0123456789abcdef0"
        assert {
            z["SubnetId"]: z["ZoneName"] for z in told()["AvailabilityZones"]
        } == dict(zip(subnets, ("us-east-1f", "us-east-1a", "us-east-1c")))
        asked = ec2.n_subnet_calls
        for _ in range(20):
            told()
        # What EC2 does not know is not asked for again and again.
        assert ec2.n_subnet_calls == asked <= 3
