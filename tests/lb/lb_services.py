"""Stand-ins for the AWS services that the load balancer calls."""

import http.server
import re
import threading
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        answer = self.server.owner.answer(dict(urllib.parse.parse_qsl(body)))
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


class Recorder:
    """A Query API on a port of its own, while the test is in its with block."""

    def __init__(self, port=0, handler=Handler):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.server.daemon_threads = True
        self.server.owner = self
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class CloudWatch(Recorder):
    """Remembers what PutMetricData said."""

    def __init__(self, port=0):
        super().__init__(port)
        self.all = []

    def answer(self, form):
        self.take(form)
        return (
            b'<PutMetricDataResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/">'
            b"<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PutMetricDataResponse>"
        )

    def take(self, form):
        assert form["Namespace"] == "AWS/ApplicationELB"
        data = {}
        for name, value in form.items():
            found = re.match(r"MetricData\.member\.(\d+)\.(.*)", name)
            if found:
                data.setdefault(int(found[1]), {})[found[2]] = value
        self.all += [self.datum(data[i]) for i in sorted(data)]

    def datum(self, form):
        def numbers(name):
            return [
                float(v)
                for k, v in form.items()
                if re.fullmatch(rf"{name}\.member\.\d+", k)
            ]

        names = [
            v
            for k, v in form.items()
            if re.fullmatch(r"Dimensions\.member\.\d+\.Name", k)
        ]
        return {
            "MetricName": form["MetricName"],
            "Dimensions": sorted(names),
            "Value": float(form["Value"]) if "Value" in form else None,
            "Values": numbers("Values"),
            "Counts": numbers("Counts"),
            "StorageResolution": int(form["StorageResolution"]),
        }

    def data(self, name, *dimensions):
        return [
            d
            for d in list(self.all)
            if d["MetricName"] == name and d["Dimensions"] == sorted(dimensions)
        ]

    def values(self, name, *dimensions):
        return [d["Value"] for d in self.data(name, *dimensions)]
