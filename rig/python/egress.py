"""A CONNECT proxy on loopback: serves one fixed host over TLS, refuses all others, and lists the requested hosts.

Run: egress.py PORT FOLDER. Writes FOLDER/certificate.pem before it listens. `GET /hosts` returns the list as JSON.
"""

import datetime
import http.server
import json
import pathlib
import ssl
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

# aws-api-mcp-server reads the list of AWS services from here before it starts; an empty list satisfies it.
CANNED = {"servicereference.us-east-1.amazonaws.com": b"[]"}


def certify(hosts, folder):
    """Writes a self-signed certificate for `hosts`, with its key, and returns the server's TLS settings."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "valetkey rig")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate_file, key_file)
    return tls


class Proxy(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port, tls):
        super().__init__(("127.0.0.1", port), Request)
        self.tls = tls
        self.hosts = []


class Request(http.server.BaseHTTPRequestHandler):
    def do_CONNECT(self):
        host = self.path.rpartition(":")[0]
        self.server.hosts.append(host)
        self.close_connection = True
        if host not in CANNED:
            self.send_error(403, "nothing leaves this machine")
            return
        self.send_response(200)
        self.end_headers()
        with self.server.tls.wrap_socket(self.connection, server_side=True) as inside:
            self.answer_inside(inside, CANNED[host])

    def answer_inside(self, stream, body):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = stream.recv(4096)
            if not piece:
                return
            head += piece
        stream.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
            + b"Content-Length: %d\r\n\r\n" % len(body)
            + body
        )

    def do_GET(self):
        if self.path != "/hosts":
            self.send_error(404)
            return
        body = json.dumps(self.server.hosts).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    port, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
    Proxy(port, certify(CANNED, folder)).serve_forever()


if __name__ == "__main__":
    main()
