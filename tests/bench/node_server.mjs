// The hand-written server that mtls-server replaces.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";

const [directory, port] = process.argv.slice(2);
const read = (name) => readFileSync(`${directory}/${name}`);

createServer(
  {
    key: read("tls.key"),
    cert: read("tls.crt"),
    ca: read("ca.crt"),
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: "TLSv1.3",
  },
  (request, response) => {
    const certificate = request.socket.getPeerCertificate();
    const body = JSON.stringify({
      subject: certificate.subject.CN,
      issuer: certificate.issuer.CN,
      valid_from: certificate.valid_from,
      valid_to: certificate.valid_to,
      fingerprint_sha256: certificate.fingerprint256,
    });
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
    response.end(body);
  },
).listen(Number(port), "127.0.0.1");
