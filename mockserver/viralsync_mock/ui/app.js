import { $, announce, button, copy, fill, h, say } from "./dom.js";
import { Store } from "./store.js";
import { randomKey } from "./key.js";
import { TimeBar, timeScreen } from "./time.js";
import { jobsScreen } from "./jobs.js";
import { callsScreen } from "./calls.js";
import { faultsScreen } from "./faults.js";
import { webhooksScreen } from "./webhooks.js";
import { accountScreen, sandboxesScreen, verdictScreen } from "./account.js";

const SCREENS = [
	["time", "Time", timeScreen], ["jobs", "Jobs", jobsScreen], ["calls", "Calls", callsScreen],
	["faults", "Faults and scenarios", faultsScreen], ["webhooks", "Webhooks", webhooksScreen],
	["account", "Account and limits", accountScreen], ["sandboxes", "Sandboxes", sandboxesScreen],
	["verdict", "Verdict and coverage", verdictScreen],
];
const SHORTCUTS = [
	["1 … 8", "the screens, in order"], ["n", "to the next step"], ["s / S", "one second / 30 seconds on"], ["d", "until all is done"],
	["f", "freeze, or run on"], ["← →", "in the slider: through the past"], ["Esc", "back to now"], ["/", "to the filter"], ["?", "this list"],
];

const store = new Store();
let current = null, bar = null, shownFor = "";
const place = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const link = (changes) => {
	const { key, sandbox, token } = place();
	const all = { ...(key ? { key } : {}), ...(sandbox ? { sandbox } : {}), ...(token ? { token } : {}), ...changes };
	return `#${new URLSearchParams(Object.entries(all).filter(([, v]) => v))}`;
};
const ctx = {
	store, link, place,
	go: (changes) => { location.hash = link({ screen: place().screen, ...changes }); },
	openSandbox: (how) => { location.hash = `#${new URLSearchParams({ ...how, ...(place().token ? { token: place().token } : {}), screen: "time" })}`; },
	dialog: (title, body, onclose) => {
		const box = $("dialog");
		fill(box, h("div", { class: "row" }, h("h2", { id: "dialog-title" }, title), button("Close", () => box.close(), { class: "quiet end" })), body);
		box.onclose = () => onclose && onclose();
		box.showModal();
		return box;
	},
};

ctx.newKey = () => randomKey(store);

function drawShell() {
	const at = place();
	fill($("nav"), SCREENS.map(([id, name]) => h("a", { href: link({ screen: id }), "aria-current": id === (at.screen || "time") ? "page" : null }, name)), button("?", shortcuts, { class: "quiet", "aria-label": "Keyboard shortcuts" }));
	const shown = document.querySelector("nav [aria-current]");
	if (shown) shown.scrollIntoView({ block: "nearest", inline: "center" });
}
function drawWho() {
	const { key, sandbox } = place(), account = store.valueAt("account");
	const shown = account ? account.userId : sandbox || (key ? `${key.slice(0, 8)}…${key.slice(-4)}` : "");
	fill($("who"), "Sandbox ", h("code", {}, shown), key ? button("copy key", () => copy(key, "the key"), { class: "quiet small" }) : null);
}
function drawLink() {
	const text = { open: "live", lost: "reconnecting …", refused: "refused", closed: "connecting …" }[store.state];
	const el = $("link");
	if (el.textContent !== text) { el.textContent = text; el.className = `link ${store.state}`; }
}

function render() {
	const at = place();
	if (!at.key && !at.sandbox) { store.stop(); shownFor = ""; return welcome(); }
	const whose = `${at.key || ""} ${at.sandbox || ""} ${at.token || ""}`;
	if (whose !== shownFor) {
		shownFor = whose;
		store.use(at);
		fill($("timebar"));
		bar = new TimeBar($("timebar"), ctx);
		current = null;
	}
	drawShell(); drawWho(); drawLink();
	const [id, name, make] = SCREENS.find(([each]) => each === at.screen) || SCREENS[0];
	if (!current || current.id !== id) {
		if (current && current.view.leave) current.view.leave();
		const main = fill($("main"), h("h2", { class: "offscreen" }, name));
		main.className = `screen ${id}`;
		current = { id, view: make(main, ctx) };
		document.title = `${name} · ViralSync mock`;
	}
	current.view.update(new Set(["place", "loaded", "at"]), at);
}

function welcome() {
	fill($("nav")); fill($("timebar")); fill($("who")); $("link").textContent = "";
	current = null;
	const input = h("input", { type: "text", id: "key", autocomplete: "off", spellcheck: "false", value: "" });
	const token = h("input", { type: "password", id: "token", autocomplete: "off" });
	const open = () => input.value.trim() && (location.hash = `#${new URLSearchParams({ key: input.value.trim(), ...(token.value ? { token: token.value } : {}) })}`);
	const need = store.state === "refused" && store.refused;
	fill($("main"), h("div", { class: "card narrow" }, h("h2", {}, "Open a sandbox"),
		need ? h("p", { class: "problem" }, need) : null,
		h("p", {}, "Every API key has a sandbox of its own. The key stays behind the # of this page's address: no server and no log sees it."),
		h("label", { class: "field" }, h("span", {}, "API key"), input),
		h("label", { class: "field" }, h("span", {}, "Control token, if the server has one"), token),
		h("div", { class: "row" }, button("Open", open, { class: "primary" }), button("Make up a key", async () => { store.headers = token.value ? { "x-mock-token": token.value } : {}; try { input.value = await ctx.newKey(); open(); } catch (e) { say(e.message, true); } }))));
	$("main").className = "screen";
	input.addEventListener("keydown", (e) => e.key === "Enter" && open());
	input.focus();
}

function shortcuts() {
	ctx.dialog("Keyboard shortcuts", h("dl", { class: "facts" }, SHORTCUTS.map(([keys, what]) => [h("dt", {}, h("kbd", {}, keys)), h("dd", {}, what)])));
}

store.on((topics) => {
	if (topics.has("state")) {
		drawLink();
		if (store.state === "refused") { $("link").title = store.refused; fill($("main"), h("div", { class: "card narrow" }, h("h2", {}, "The mock refuses this page"), h("p", { class: "problem" }, store.refused), h("a", { href: "#" }, "Use another key or token"))); current = null; return; }
		if (store.problem) { say(store.problem, true); store.problem = null; }
	}
	if (topics.has("account")) drawWho();
	if (bar) bar.update(topics);
	if (current) current.view.update(topics, place());
});

setInterval(() => {
	if (document.hidden || !bar) return;
	bar.tick();
	if (store.clock.rate && !store.isPast && current && current.view.tick) current.view.tick();
}, 250);

addEventListener("hashchange", render);
$("skip").addEventListener("click", (event) => { event.preventDefault(); $("main").focus(); });
addEventListener("keydown", (event) => {
	if (event.ctrlKey || event.metaKey || event.altKey || $("dialog").open) return;
	if (event.key === "Escape" && store.isPast) { store.scrub(null); announce("Back to now"); return; }
	if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || !bar) return;
	const screen = SCREENS[+event.key - 1];
	const run = { n: () => bar.next(), s: () => bar.advance(1), S: () => bar.advance(30), d: () => bar.untilDone(), f: () => bar.freeze(), "?": shortcuts, "/": () => { const f = document.querySelector("[data-filter]"); if (f) f.focus(); } }[event.key];
	if (screen) ctx.go({ screen: screen[0], id: "" });
	else if (run) run();
	else return;
	event.preventDefault();
});
render();
