import { $, copy, fill, h } from "./dom.js";
import { ROOT, Store } from "./store.js";
import { randomKey } from "./key.js";

try {
	const key = await randomKey(new Store());
	const curl = (path, more = "") => `curl ${ROOT}/v1/${path} -H 'x-api-key: ${key}'${more}\n`;
	const all = curl("me") + curl("render/jobs", ` -H 'content-type: application/json' -d '{"kind":"movie","projectId":"proj_demo01","movie":{"scenes":[{"id":"intro","duration":5}]}}'`) + curl("jobs");
	$("key").textContent = key;
	$("ui").href += `#key=${key}`;
	$("curl").textContent = all;
	$("copy").onclick = () => copy(key, "the key");
	$("copycurl").onclick = () => copy(all, "three lines");
} catch (e) {
	fill($("start"), h("p", {}, e.status === 403 ? "Its page asks for the control token." : e.message));
}
