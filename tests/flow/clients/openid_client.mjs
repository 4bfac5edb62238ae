// Node's openid-client as its documentation uses it: discovery, a token, a protected resource.
// Arguments: folder of the library, issuer, client id, way, secret or private JWK.
// Prints what the resource answered.
import { pathToFileURL } from "node:url";

const [folder, issuer, clientId, way, credential] = process.argv.slice(2);
const client = await import(pathToFileURL(`${folder}/build/index.js`));

const key = async (jwk) => ({
  key: await crypto.subtle.importKey(
    "jwk", jwk, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]),
  kid: jwk.kid,
});
const ways = {
  post: () => client.ClientSecretPost(credential),
  basic: () => client.ClientSecretBasic(credential),
  default: () => undefined,
  key: async () => client.PrivateKeyJwt(await key(JSON.parse(credential))),
  dpop: async () => client.PrivateKeyJwt(await key(JSON.parse(credential))),
};
const metadata = way === "default" ? credential : undefined;
const config = await client.discovery(
  new URL(issuer), clientId, metadata, await ways[way](),
  // The hub's TLS is its proxy's; the tests run on loopback.
  { algorithm: "oauth2", execute: [client.allowInsecureRequests] },
);
const options = {};
if (way === "dpop") {
  options.DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256"));
}
const tokens = await client.clientCredentialsGrant(config, {}, options);
const answer = await client.fetchProtectedResource(
  config, tokens.access_token, new URL(`${issuer}/v1/me`), "GET", undefined, undefined, options);
const introspected = await client.tokenIntrospection(config, tokens.access_token);
await client.tokenRevocation(config, tokens.access_token);
const after = await client.tokenIntrospection(config, tokens.access_token);
console.log(JSON.stringify({
  me: await answer.json(), type: tokens.token_type, active: [introspected.active, after.active],
}));
