const canonical = require("fs").readFileSync(0); // what avsc's Type.forSchema(schema).schema() gives, as text
const digest = require("crypto").createHash("sha256").update(canonical).digest();
console.log((digest.readUInt32BE(0) >>> 2) + 2 ** 30);
