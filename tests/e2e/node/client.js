// One request with Node's https: prints its response, or the code of its error, as JSON.
"use strict";
const fs = require("node:fs");
const https = require("node:https");

const { address, port, name, ca, cert, key } = JSON.parse(process.argv[2]);
const read = (file) => (file ? fs.readFileSync(file) : undefined);
const tell = (outcome) => process.stdout.write(JSON.stringify(outcome));

https
  .get(
    {
      host: address,
      port,
      servername: name,
      headers: { host: `${name}:${port}` },
      ca: read(ca),
      cert: read(cert),
      key: read(key),
      agent: false,
      timeout: 20000,
    },
    (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => (body += chunk));
      response.on("end", () => tell({ status: response.statusCode, body }));
    },
  )
  .on("timeout", function () {
    this.destroy(new Error("timeout"));
  })
  .on("error", (error) => tell({ code: error.code || error.message }));
