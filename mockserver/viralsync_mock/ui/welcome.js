import { $, copy } from "./dom.js";
import { ROOT, Store } from "./store.js";
import { randomKey } from "./key.js";

const key = await randomKey(new Store());
$("key").textContent = key;
$("ui").href = `__mock/ui#key=${key}`;
const short = `curl ${ROOT}/v1/me -H 'x-api-key: ${key}'
curl ${ROOT}/v1/render/jobs -H 'x-api-key: ${key}' -H 'content-type: application/json' -d '{"kind":"movie","projectId":"proj_demo01","movie":{"scenes":[{"id":"intro","duration":5}]}}'
curl ${ROOT}/v1/jobs -H 'x-api-key: ${key}'`;
$("curl").textContent = short;
$("copy").addEventListener("click", () => copy(key, "the key"));
$("copycurl").addEventListener("click", () => copy(short, "three lines"));
