// Small helpers. Whatever comes from a client or a target becomes text, never markup: nothing here parses HTML.

export function h(tag, props = {}, ...kids) {
	const svg = SVG.has(tag);
	const el = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
	for (const [name, value] of Object.entries(props || {})) {
		if (value === null || value === undefined || value === false) continue;
		if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
		else if (PROPS.has(name) && !svg) el[name] = value;
		else el.setAttribute(name, value === true ? "" : String(value));
	}
	put(el, kids);
	return el;
}
const PROPS = new Set(["value", "checked", "disabled", "selected", "hidden", "htmlFor", "open"]);
const SVG = new Set(["svg", "rect", "line", "circle", "path", "g", "title"]);

function put(el, kids) {
	for (const kid of kids.flat(Infinity)) {
		if (kid === null || kid === undefined || kid === false) continue;
		el.append(kid instanceof Node ? kid : document.createTextNode(String(kid)));
	}
}

export function fill(el, ...kids) {
	const next = document.createDocumentFragment();
	put(next, kids);
	el.replaceChildren(next);
	return el;
}

export const $ = (id) => document.getElementById(id);

export function button(label, onclick, props = {}) {
	return h("button", { type: "button", onclick, ...props }, label);
}

export function select(name, options, value, onchange, props = {}) {
	const el = h("select", { "aria-label": name, onchange: () => onchange && onchange(el.value), ...props });
	for (const each of options) {
		const [text, val] = Array.isArray(each) ? each : [each, each];
		el.append(h("option", { value: val, selected: val === value }, text));
	}
	return el;
}

export function field(label, control) {
	control.removeAttribute("aria-label");
	return h("label", { class: "field" }, h("span", {}, label), control);
}

export const grid = (headings, rows) => h("table", {}, h("thead", {}, h("tr", {}, headings.map((t) => h("th", { scope: "col" }, t)))), h("tbody", {}, rows));
export const wide = (label, ...kids) => h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": label }, kids);

let toastTimer = null;
export function say(text, isError = false) {
	const el = $("toast");
	fill(el, text);
	el.className = isError ? "toast bad" : "toast";
	el.hidden = false;
	clearTimeout(toastTimer);
	toastTimer = setTimeout(() => { el.hidden = true; }, isError ? 9000 : 3500);
}
export const announce = (text) => { $("live").textContent = text; };

export async function act(work, done) {
	try {
		const result = await work();
		if (done) say(done);
		return result;
	} catch (problem) {
		say(problem.message, true);
		return undefined;
	}
}

export async function copy(text, what) {
	try {
		await navigator.clipboard.writeText(text);
	} catch {
		const area = h("textarea", { value: text, class: "offscreen" });
		document.body.append(area);
		area.select();
		document.execCommand("copy");
		area.remove();
	}
	say(`Copied ${what}.`);
}

export function download(name, text, type) {
	const url = URL.createObjectURL(new Blob([text], { type }));
	const a = h("a", { href: url, download: name });
	a.click();
	setTimeout(() => URL.revokeObjectURL(url), 1000);
}

export const clockText = (ms, millis = true) => {
	const iso = new Date(ms).toISOString();
	return millis ? iso.slice(11, 23) : iso.slice(11, 19);
};
export const dayText = (ms) => new Date(ms).toISOString().slice(0, 10);
export const ago = (s) => (s < 60 ? `${Math.round(s)} s` : s < 3600 ? `${Math.round(s / 60)} min` : s < 86400 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`);
export const length = (ms) => {
	const s = Math.abs(ms) / 1000;
	return s < 1 ? `${Math.round(s * 1000)} ms` : s < 120 ? `${+s.toFixed(1)} s` : s < 7200 ? `${+(s / 60).toFixed(1)} min` : `${+(s / 3600).toFixed(1)} h`;
};
export const percent = (x) => `${Math.round(x * 100)} %`;
export const pretty = (text) => {
	try { return JSON.stringify(typeof text === "string" ? JSON.parse(text) : text, null, 2); } catch { return String(text); }
};
export const later = (wait, run) => {
	let timer = null;
	return (...given) => { clearTimeout(timer); timer = setTimeout(() => run(...given), wait); };
};

// A table of any length: only the rows that can be seen are elements.
export class Table {
	constructor(label, columns, row, { height = 30, onpick } = {}) {
		this.columns = columns; this.row = row; this.height = height; this.items = []; this.picked = null; this.onpick = onpick;
		this.space = h("div", { class: "space", role: "presentation" });
		this.body = h("div", { class: "rows", role: "rowgroup", tabindex: "0", "aria-label": `${label}, rows`, onscroll: () => this.draw(), onkeydown: (e) => this.key(e) }, this.space);
		const head = h("div", { class: "tr head", role: "row" }, columns.map(([name, kind]) => h("div", { class: `td ${kind}`, role: "columnheader" }, name)));
		this.empty = h("p", { class: "empty" });
		this.el = h("div", { class: "vtable", role: "table", "aria-label": label }, h("div", { role: "rowgroup" }, head), this.body);
		this.frame = h("div", { class: "frame" }, this.el, this.empty);
		this.drawn = new Map();
		this.watch = new ResizeObserver(() => this.draw());
		this.watch.observe(this.body);
	}

	set(items, emptyText, picked = null, key = (x) => x.id) {
		this.items = items; this.picked = picked; this.keyOf = key;
		this.el.setAttribute("aria-rowcount", items.length + 1);
		this.empty.textContent = items.length ? "" : emptyText;
		this.empty.hidden = !!items.length;
		this.space.style.height = `${items.length * this.height}px`;
		this.drawn.clear();
		const row = this.space.contains(document.activeElement) && document.activeElement.closest(".tr"), id = row && row.itemId;
		this.draw();
		if (id) for (const each of this.space.children) if (each.itemId === id) each.querySelector("button, a").focus({ preventScroll: true });
	}

	draw() {
		const top = this.body.scrollTop, first = Math.max(0, Math.floor(top / this.height) - 4);
		const last = Math.min(this.items.length, Math.ceil((top + this.body.clientHeight) / this.height) + 4);
		const rows = new Map();
		for (let i = first; i < last; i++) rows.set(i, this.drawn.get(i) || this.make(i));
		this.drawn = rows;
		this.seen = this.items.slice(first, last);
		const wanted = [...rows.values()], have = this.space.children;
		if (have.length !== wanted.length || wanted.some((el, i) => el !== have[i])) this.space.replaceChildren(...wanted);
	}

	make(i) {
		const item = this.items[i], isPicked = this.picked !== null && this.keyOf(item) === this.picked;
		const cells = this.row(item);
		const el = h("div", { class: `tr${isPicked ? " picked" : ""}`, role: "row", "aria-rowindex": i + 2, onclick: () => this.onpick && this.onpick(item) },
			cells.map((cell, at) => h("div", { class: `td ${this.columns[at][1]}`, role: "cell" }, cell)));
		if (isPicked) el.setAttribute("aria-current", "true");
		el.style.transform = `translateY(${i * this.height}px)`;
		el.style.height = `${this.height}px`;
		el.itemId = this.keyOf(item);
		return el;
	}

	key(event) {
		const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
		if (!step || !this.onpick || !this.items.length) return;
		event.preventDefault();
		const at = this.items.findIndex((x) => this.keyOf(x) === this.picked);
		const next = Math.min(this.items.length - 1, Math.max(0, at < 0 ? 0 : at + step));
		const top = next * this.height;
		if (top < this.body.scrollTop) this.body.scrollTop = top;
		else if (top + this.height > this.body.scrollTop + this.body.clientHeight) this.body.scrollTop = top + this.height - this.body.clientHeight;
		this.onpick(this.items[next]);
	}
}
