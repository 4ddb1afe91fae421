// Prints the key that the SDK for JavaScript finds on its default chain, and whether the proxy refused an external
// request.
import { get } from "node:http";
import { createRequire } from "node:module";

const { STSClient } = createRequire(`${process.env.RIG_NODE}/`)("@aws-sdk/client-sts");

const credentials = await new STSClient({ region: "us-east-1" }).config.credentials();
console.log(credentials.accessKeyId);
// Node.js supports proxies itself since 22.21 only; earlier versions need a library.
const { hostname, port } = new URL(process.env.HTTP_PROXY);
const request = { hostname, port, path: process.env.OUTSIDE };
get(request, (response) => console.log(response.statusCode === 502 ? "refused" : response.statusCode));
