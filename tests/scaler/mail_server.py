"""A tiny SMTP server: takes mails, keeps them parsed; may ask for a password or refuse."""

import base64
import email
import email.policy
import socketserver
import threading


class Handler(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        server = self.server.owner
        self.say("220 mail.test ESMTP")
        sender, recipients = None, []
        while line := self.rfile.readline().decode().strip():
            verb = line.split()[0].upper()
            if verb == "EHLO":
                self.say("250-mail.test")
                self.say("250 AUTH PLAIN" if server.password else "250 SIZE 1000000")
            elif verb == "AUTH":
                self.say("334 ")
                parts = base64.b64decode(self.rfile.readline()).decode().split("\0")
                server.logins.append(tuple(parts[1:]))
                good = parts[2] == server.password
                self.say("235 welcome" if good else "535 no")
            elif verb == "MAIL":
                sender = line.split("<")[1].split(">")[0]
                self.say("250 ok")
            elif verb == "RCPT":
                if server.refusals:
                    server.refusals -= 1
                    self.say("450 later")
                    continue
                recipients.append(line.split("<")[1].split(">")[0])
                self.say("250 ok")
            elif verb == "DATA":
                self.say("354 go on")
                self.take(server, sender, recipients)
                self.say("250 taken")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("502 what?")

    def take(self, server, sender, recipients):
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            assert line.endswith(b"\r\n") and len(line) <= 1000
            lines.append(line[1:] if line.startswith(b"..") else line)
        mail = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
        server.mails.append((sender, recipients, mail))


class MailServer:
    def __init__(self, password=None, refusals=0):
        self.password, self.refusals = password, refusals
        self.mails, self.logins = [], []
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.owner = self
        self.url = f"smtp://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
