import { $, copy, fill, h } from "./dom.js";
import { ROOT, Store } from "./store.js";
import { randomKey } from "./key.js";

function begin(key) {
	$("key").textContent = key;
	$("ui").href = `__mock/ui#key=${key}`;
	const short = `curl ${ROOT}/v1/me -H 'x-api-key: ${key}'
curl ${ROOT}/v1/render/jobs -H 'x-api-key: ${key}' -H 'content-type: application/json' -d '{"kind":"movie","projectId":"proj_demo01","movie":{"scenes":[{"id":"intro","duration":5}]}}'
curl ${ROOT}/v1/jobs -H 'x-api-key: ${key}'`;
	$("curl").textContent = short;
	$("copy").addEventListener("click", () => copy(key, "the key"));
	$("copycurl").addEventListener("click", () => copy(short, "three lines"));
}
try { begin(await randomKey(new Store())); } catch (error) {
	const isClosed = error.status === 403;
	fill($("start"), h("p", isClosed ? {} : { class: "problem" }, isClosed ? "It has a control token: open the page, which asks for it and makes up a key." : error.message));
}
