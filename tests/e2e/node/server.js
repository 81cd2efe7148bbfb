// The server that this project replaces, as it is often written by hand: it knows nothing of us.
"use strict";
const fs = require("node:fs");
const https = require("node:https");

const certificates = "/certs";

const options = {
  key: fs.readFileSync(`${certificates}/server.key`),
  cert: fs.readFileSync(`${certificates}/server.crt`),
  ca: fs.readFileSync(`${certificates}/ca.pem`),
  requestCert: true,
  rejectUnauthorized: true,
};

const server = https.createServer(options, (request, response) => {
  const certificate = request.socket.getPeerCertificate();
  response.writeHead(200, { "Content-Type": "application/json" });
  response.end(
    JSON.stringify({
      subject: certificate.subject.CN,
      issuer: certificate.issuer.CN,
      validFrom: certificate.valid_from,
      validTo: certificate.valid_to,
      fingerprint: certificate.fingerprint256,
    }),
  );
});

server.on("tlsClientError", (error) => console.error(`refused: ${error.code}`));
server.listen(8443, () => console.log("listening"));
