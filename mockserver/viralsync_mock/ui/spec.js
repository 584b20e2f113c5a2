// Renders an OpenAPI document.
import { $, button, field, fill, grid, h, pretty, wide } from "./dom.js";
import { Store } from "./store.js";

const store = new Store();
let doc = null;
const follow = (node) => (node && node.$ref ? follow(node.$ref.slice(2).split("/").reduce((at, part) => at[part.replaceAll("~1", "/")], doc)) : node);
const typeOf = (s) => (s.const !== undefined ? JSON.stringify(s.const) : s.enum ? s.enum.map((e) => JSON.stringify(e)).join(" | ") : s.anyOf || s.oneOf ? (s.anyOf || s.oneOf).map((p) => typeOf(follow(p))).join(" or ") : [].concat(s.type || "any").join(" | ") + (s.format ? ` (${s.format})` : ""));

// The little Markdown of the descriptions: headings, tables, code.
const inline = (text) => text.split(/(`[^`]+`)/).map((part) => (part[0] === "`" ? h("code", {}, part.slice(1, -1)) : part));
function prose(text) {
	return String(text || "").trim().split(/\n\s*\n/).map((block) => {
		if (block.startsWith("#")) return h("h3", {}, inline(block.replace(/^#+ /, "")));
		if (!block.startsWith("|")) return h("p", {}, inline(block));
		const rows = block.split("\n").filter((l) => !/^[|\s:-]+$/.test(l)).map((l) => l.split("|").slice(1, -1));
		return wide("Table", h("table", {}, rows.map((cells, i) => h("tr", {}, cells.map((c) => h(i ? "td" : "th", i ? {} : { scope: "col" }, inline(c.trim())))))));
	});
}

function shape(node, depth = 0) {
	const s = follow(node);
	if (!s) return null;
	const parts = s.properties ? Object.entries(s.properties) : [];
	if (s.items && depth < 6) return shape(s.items, depth);
	const inner = (s.anyOf || s.oneOf || []).map(follow).find((p) => p.properties || p.items);
	if (!parts.length) return inner && depth < 6 ? shape(inner, depth) : null;
	return h("dl", { class: "keys" }, parts.map(([name, part]) => {
		const p = follow(part), more = depth < 5 ? shape(p, depth + 1) : null, must = (s.required || []).includes(name);
		const bounds = ["minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern", "default"].filter((k) => p[k] !== undefined).map((k) => `${k} ${p[k]}`).join(", ");
		return [h("dt", {}, h("code", {}, name), must ? h("b", {}, " required") : null), h("dd", {}, h("code", {}, typeOf(p)), bounds ? ` · ${bounds}` : "", p.description ? h("p", {}, p.description) : null, more ? h("details", {}, h("summary", {}, "fields"), more) : null)];
	}));
}
function body(content) {
	return Object.entries(content || {}).map(([type, c]) => {
		const example = c.example !== undefined ? c.example : c.examples ? follow(Object.values(c.examples)[0]).value : undefined;
		return h("div", {}, h("p", {}, h("code", {}, type)), shape(c["x-event-schema"] || c.schema), example !== undefined ? h("details", {}, h("summary", {}, "example"), h("pre", { tabindex: "0" }, typeof example === "string" ? example : pretty(example))) : null);
	});
}
function operation(method, path, op, shared) {
	const parameters = [...(shared || []), ...(op.parameters || [])].map(follow);
	return h("details", { class: "card op", id: op.operationId }, h("summary", {}, h("b", { class: `method ${method}` }, method.toUpperCase()), " ", h("code", {}, path), " ", h("span", {}, op.summary)),
		prose(op.description),
		parameters.length ? [h("h4", {}, "Parameters"), h("dl", { class: "keys" }, parameters.map((p) => [h("dt", {}, h("code", {}, p.name), ` ${p.in}`, p.required ? h("b", {}, " required") : null), h("dd", {}, h("code", {}, typeOf(follow(p.schema))), h("p", {}, p.description))]))] : null,
		op.requestBody ? [h("h4", {}, "Body"), body(follow(op.requestBody).content)] : null,
		h("h4", {}, "Responses"), Object.entries(op.responses).map(([status, r]) => { const found = follow(r); return h("details", {}, h("summary", {}, h("b", {}, status), ` ${found.description}`), body(found.content)); }));
}
function refused(e) {
	const token = h("input", { type: "password", autocomplete: "off" });
	const open = () => { store.headers = { "x-mock-token": token.value }; draw(); };
	token.onkeydown = (event) => event.key === "Enter" && open();
	fill($("main"), h("p", { class: "problem" }, e.message), e.status === 403 ? h("div", { class: "row" }, field("Control token", token), button("Open", open)) : null);
}
async function draw() {
	const isControl = location.hash.startsWith("#control");
	$("control").setAttribute("aria-current", isControl ? "page" : "false");
	$("api").setAttribute("aria-current", isControl ? "false" : "page");
	try { doc = await store.once(isControl ? "spec?of=control" : "spec"); } catch (e) { refused(e); return; }
	document.title = `${doc.info.title} · ViralSync mock`;
	const methods = ["get", "put", "post", "patch", "delete"];
	fill($("main"), h("h2", {}, doc.info.title, " ", h("small", {}, doc.info.version)), h("p", {}, doc.info.summary || ""), prose(doc.info.description),
		Object.entries(doc.paths).flatMap(([path, item]) => methods.filter((m) => item[m]).map((m) => operation(m, path, item[m], item.parameters))),
		doc["x-error-catalogue"] ? [h("h3", {}, "Errors"), wide("Errors", grid(["Status", "Code", "When"], Object.entries(doc["x-error-catalogue"]).map(([code, e]) => h("tr", {}, h("td", {}, e.status), h("td", {}, h("code", {}, code)), h("td", {}, e.when)))))] : null);
}
addEventListener("hashchange", draw);
draw();
