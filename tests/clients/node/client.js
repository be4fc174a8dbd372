// Events in (one JSON object a line on standard input), predictions out, with what `freshet schemas serve` says.
const { readFileSync } = require("fs");
const avro = require("avsc");
const { Kafka, Partitioners, logLevel } = require("kafkajs");

// produce BOOTSTRAP REGISTRY TOPIC KEY-FIELD, or read BOOTSTRAP REGISTRY TOPIC COUNT
const [mode, bootstrap, registry, topic, last] = process.argv.slice(2);
const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR });

async function get(path) {
  const answer = await fetch(registry + path);
  if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
  return answer.json();
}

async function produce(keyField) {
  const known = await get(`/subjects/${topic}-value/versions/latest`);
  const type = avro.Type.forSchema(JSON.parse(known.schema));
  const frame = Buffer.alloc(5); // the first byte is 0
  frame.writeUInt32BE(known.id, 1);

  const lines = readFileSync(0, "utf8").split("\n").filter(Boolean);
  const messages = lines.map((line) => {
    const event = JSON.parse(line);
    return { key: event[keyField], value: Buffer.concat([frame, type.toBuffer(event)]) };
  });
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  await producer.send({ topic, messages });
  await producer.disconnect();
}

async function read(count) {
  const types = new Map();
  const consumer = kafka.consumer({ groupId: `client-${process.pid}-${Date.now()}` }); // reads committed records
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await new Promise((done, failed) => {
    let seen = 0;
    const eachMessage = async ({ message }) => {
      const id = message.value.readUInt32BE(1);
      if (!types.has(id)) {
        const { schema } = await get(`/schemas/ids/${id}`);
        types.set(id, avro.Type.forSchema(JSON.parse(schema)));
      }
      console.log(JSON.stringify(types.get(id).fromBuffer(message.value.subarray(5))));
      if (++seen === count) done();
    };
    consumer.run({ eachMessage }).catch(failed);
  });
  await consumer.disconnect();
}

(mode === "produce" ? produce(last) : read(Number(last))).catch((error) => {
  console.error(error);
  process.exit(1);
});
