// An Express application that knows no TLS: it says what it was asked, and by whom as it was told.
const express = require("express");

const app = express();
app.use((request, response) => {
  const fields = [];
  for (let at = 0; at < request.rawHeaders.length; at += 2) {
    fields.push([request.rawHeaders[at].toLowerCase(), request.rawHeaders[at + 1]]);
  }
  response.json({ method: request.method, target: request.originalUrl, fields });
});
app.listen(8080, "127.0.0.1");
