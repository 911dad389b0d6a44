# A load balancer with every kind of condition and of action that a rule can have; "changed" is
# what an update in place changes.
variable "target_ports" { type = list(number) }
variable "port" {}
variable "second_port" {}
variable "changed" { default = false }

data "aws_subnets" "all" {}
data "aws_subnet" "one" { id = data.aws_subnets.all.ids[0] }
resource "aws_lb" "web" {
  name               = "tf-web"
  load_balancer_type = "application"
  subnets            = slice(sort(data.aws_subnets.all.ids), 0, var.changed ? 3 : 2)
  idle_timeout       = var.changed ? 40 : 30
  tags               = var.changed ? { Name = "tf-web" } : { Name = "tf-web", env = "test" }
}
resource "aws_lb_target_group" "web" {
  name                 = "tf-web"
  port                 = 8000
  protocol             = "HTTP"
  vpc_id               = data.aws_subnet.one.vpc_id
  target_type          = "ip"
  deregistration_delay = var.changed ? 6 : 5
  health_check {
    path                = "/health"
    interval            = 5
    timeout             = 2
    healthy_threshold   = 2
    unhealthy_threshold = 2
    matcher             = var.changed ? "200" : "200-299"
  }
  tags = { Name = "tf-web" }
}
resource "aws_lb_target_group" "api" {
  name        = "tf-api"
  port        = 8001
  protocol    = "HTTP"
  vpc_id      = data.aws_subnet.one.vpc_id
  target_type = "ip"
  stickiness {
    type            = "lb_cookie"
    cookie_duration = 3600
  }
  target_group_health {
    dns_failover { minimum_healthy_targets_count = "off" }
    unhealthy_state_routing { minimum_healthy_targets_count = 1 }
  }
}
resource "aws_lb_target_group_attachment" "web" {
  count            = length(var.target_ports)
  target_group_arn = aws_lb_target_group.web.arn
  target_id        = "127.0.0.1"
  port             = var.target_ports[count.index]
}
resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.web.arn
  port              = var.port
  protocol          = "HTTP"

  routing_http_response_server_enabled = var.changed
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.web.arn
  }
}
resource "aws_lb_listener" "second" {
  load_balancer_arn = aws_lb.web.arn
  port              = var.second_port
  protocol          = "HTTP"
  default_action {
    type = "redirect"
    redirect {
      port        = var.port
      protocol    = "HTTP"
      status_code = var.changed ? "HTTP_302" : "HTTP_301"
    }
  }
}
resource "aws_lb_listener_rule" "path" {
  listener_arn = aws_lb_listener.http.arn
  priority     = 10
  action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      message_body = var.changed ? "kettle" : "teapot"
      status_code  = "418"
    }
  }
  condition {
    path_pattern { values = ["/teapot", "/kettle/*"] }
  }
  tags = { rule = var.changed ? "changed" : "path" }
}
resource "aws_lb_listener_rule" "host" {
  listener_arn = aws_lb_listener.http.arn
  priority     = var.changed ? 25 : 20
  action {
    type = "redirect"
    redirect {
      host        = "other.example"
      path        = "/#{path}"
      query       = "#{query}"
      status_code = "HTTP_302"
    }
  }
  condition {
    host_header { values = var.changed ? ["*.older.example"] : ["*.old.example"] }
  }
  condition {
    source_ip { values = ["127.0.0.0/8"] }
  }
}
resource "aws_lb_listener_rule" "weighted" {
  listener_arn = aws_lb_listener.http.arn
  priority     = 30
  action {
    type = "forward"
    forward {
      target_group {
        arn    = aws_lb_target_group.web.arn
        weight = 80
      }
      target_group {
        arn    = aws_lb_target_group.api.arn
        weight = var.changed ? 50 : 20
      }
      stickiness {
        enabled  = true
        duration = 600
      }
    }
  }
  condition {
    http_header {
      http_header_name = "X-Canary"
      values           = ["yes*"]
    }
  }
  condition {
    http_request_method { values = ["GET", "HEAD"] }
  }
}
resource "aws_lb_listener_rule" "query" {
  listener_arn = aws_lb_listener.http.arn
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.api.arn
  }
  condition {
    query_string {
      key   = "v"
      value = "2"
    }
    query_string { value = "beta" }
  }
}
data "aws_lb" "read" {
  name = aws_lb.web.name
}
data "aws_lb_target_group" "read" { name = aws_lb_target_group.web.name }
data "aws_lb_listener" "read" {
  load_balancer_arn = aws_lb.web.arn
  port              = aws_lb_listener.http.port
}
output "dns" { value = aws_lb.web.dns_name }
output "group_arn" { value = aws_lb_target_group.web.arn }
output "arn" { value = aws_lb.web.arn }
