// What people use today: Express, the official SDK's check of the signature, and the NATS client. It does just what
// `casewire ingest` does: verify, publish under an id to one of four streams, wait for the acknowledgement, answer.
//
//   PORT=8080 NATS_URL=nats://127.0.0.1:4222 PUBLIC_URL=https://… AUTH_TOKEN=… PROCESSES=1 node server.mjs
import cluster from "node:cluster";
import { jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import express from "express";
import twilio from "twilio";

const { PORT, NATS_URL, PUBLIC_URL, AUTH_TOKEN, PROCESSES = "1" } = process.env;
const SHARDS = 4;
const ANSWER = new twilio.twiml.MessagingResponse().toString();

/** The stream of a conversation: the same for the same line and sender. */
function shardOf(line, from) {
  let hash = 0x811c9dc5;
  for (const letter of `${line}\0${from}`) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193);
  return (hash >>> 0) % SHARDS;
}

async function serve() {
  const stream = jetstream(await connect({ servers: NATS_URL }));
  const app = express();
  app.disable("x-powered-by");
  app.set("etag", false);
  const form = express.urlencoded({
    extended: false,
    verify: (request, _response, body) => {
      request.rawBody = body;
    },
  });
  app.post("/inbound/:line", form, async (request, response) => {
    const { body } = request;
    const url = PUBLIC_URL + request.originalUrl;
    if (!twilio.validateRequest(AUTH_TOKEN, request.get("X-Twilio-Signature") ?? "", url, body)) {
      return response.status(403).end();
    }
    const shard = shardOf(request.params.line, body.From);
    const msgID = `i:${body.AccountSid}:${body.MessageSid}`;
    const stored = await stream.publish(`web.${shard}.message`, request.rawBody, { msgID });
    response.status(stored.seq > 0 ? 200 : 503).type("text/xml").send(ANSWER);
  });
  app.listen(Number(PORT), "127.0.0.1", () => console.log("ready"));
}

if (cluster.isPrimary && Number(PROCESSES) > 1) {
  for (let i = 0; i < Number(PROCESSES); i += 1) cluster.fork();
} else {
  await serve();
}
