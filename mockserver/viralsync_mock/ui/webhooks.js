import { act, button, clockText, copy, field, fill, h, pretty, Table } from "./dom.js";
import { ms } from "./store.js";

export function webhooksScreen(root, ctx) {
	const { store } = ctx;
	const detail = h("section", { class: "card detail", "aria-label": "The webhook" });
	const out = new Table("Outbox", [["Due", "w-time"], ["Job", "w-id"], ["Kind", "w-method"], ["Outcome", "w-status"], ["To", "wide"]],
		(d) => [clockText(ms(d.madeAt)), d.jobId, d.kind, h("span", { class: `s ${d.outcome}` }, d.outcome, d.attempts.length > 1 ? h("small", {}, ` ×${d.attempts.length}`) : null), h("button", { class: "rowlink", type: "button" }, d.url)], { onpick: (d) => ctx.go({ screen: "webhooks", id: d.deliveryId }) });
	const inbox = new Table("Inbox", [["At", "w-time"], ["Signature", "w-method"], ["Answered", "w-num"], ["To", "wide"]],
		(r) => [clockText(ms(r.at)), h("span", { class: `s ${r.isSignatureValid ? "done" : "failed"}` }, r.isSignatureValid ? "valid" : "wrong"), r.status, h("button", { class: "rowlink", type: "button" }, r.url)], { onpick: (r) => ctx.go({ screen: "webhooks", id: `inbox_${r.number}` }) });
	const status = h("input", { type: "number", min: "200", max: "599", value: "503" }), times = h("input", { type: "number", min: "1", max: "1000", placeholder: "always" }), state = h("p", { class: "lead" });
	const patch = (body, done) => act(() => store.send("PATCH", "inbox", body), done);
	root.append(h("div", { class: "columns" }, h("div", { class: "stack" }, h("section", { class: "card list", "aria-label": "Outbox" }, h("h3", {}, "Outbox"), out.frame),
		h("section", { class: "card list", "aria-label": "Inbox" }, h("h3", {}, "Inbox: the built-in receiver"), state, h("div", { class: "row" }, button("Copy its address", () => copy((store.valueAt("inbox") || {}).url, "the address"), { class: "primary" }), field("Answer with", status), field("Times", times), button("Set", () => patch({ status: +status.value, times: times.value ? +times.value : null }, "Set.")), button("Accept again", () => patch({ status: 200 }, "It accepts.")), button("Empty", () => act(async () => { await store.send("DELETE", "inbox"); store.received.clear(); store.touch("webhooks"); }))), inbox.frame)), detail));

	const headers = (lines) => h("table", { class: "headers" }, h("tbody", {}, lines.map(([n, v]) => h("tr", {}, h("th", { scope: "row" }, n), h("td", {}, v)))));
	function drawDetail() {
		const id = ctx.place().id || "", got = id.startsWith("inbox_") ? store.received.get(+id.slice(6)) : null, d = store.deliveriesAt().find((x) => x.deliveryId === id);
		const state2 = JSON.stringify([id, got, d]);
		if (state2 === detail.state) return;
		detail.state = state2;
		if (got) { fill(detail, h("h3", {}, `Received ${clockText(ms(got.at))}`), h("p", { class: got.isSignatureValid ? "fine" : "problem" }, got.isSignatureValid ? "The signature is the one of these bytes." : "The signature is not the one of these bytes."), headers(got.headers), h("pre", { tabindex: "0", "aria-label": "Body" }, pretty(got.body))); return; }
		if (!d) { fill(detail, h("p", { class: "empty" }, id ? `There is no webhook ${id} at this instant.` : "Pick a webhook to see its attempts.")); return; }
		fill(detail, h("div", { class: "row" }, h("h3", {}, d.deliveryId), h("span", { class: `s ${d.outcome} end` }, d.outcome)), h("p", { class: "lead" }, `${d.kind} of `, h("a", { href: ctx.link({ screen: "jobs", id: d.jobId }) }, d.jobId), ` to ${d.url}`, d.copyOf ? ` · a copy of ${d.copyOf}` : "", d.nextAttemptAt ? ` · next attempt at ${clockText(ms(d.nextAttemptAt))}` : ""),
			button("Redeliver", () => act(() => store.send("POST", `deliveries/${d.deliveryId}/redeliver`), "Sent again."), { class: "primary" }),
			h("h4", {}, `Attempts (${d.attempts.length})`), d.attempts.length ? h("ol", { class: "attempts" }, d.attempts.map((a) => h("li", {}, h("b", {}, clockText(ms(a.at))), " ", a.response ? `answered ${a.response.status}` : "no answer", " ", h("span", { class: `s ${a.isAccepted ? "done" : "failed"}` }, a.isAccepted ? "accepted" : a.problem || "not accepted"), a.reason ? h("p", { class: "problem" }, a.reason) : null, a.response && a.response.body ? h("pre", { tabindex: "0", "aria-label": "Answer" }, a.response.body) : null))) : h("p", { class: "empty" }, "None yet."),
			h("h4", {}, "Request"), headers(d.request.headers), h("pre", { tabindex: "0", "aria-label": "Body" }, pretty(d.request.body)));
	}
	return {
		update(topics) {
			if (!["webhooks", "inbox", "at", "loaded", "place", "clock"].some((t) => topics.has(t))) return;
			const picked = ctx.place().id || null, set = store.valueAt("inbox");
			out.set(store.deliveriesAt(), "No webhook yet. A job with a callbackUrl sends some.", picked, (d) => d.deliveryId);
			inbox.set(store.receivedAt(), "Nothing yet.", picked, (r) => `inbox_${r.number}`);
			fill(state, set ? ["Use ", h("code", {}, `${set.url}/…`), ` as callbackUrl. It answers ${set.status}${set.times ? ` for ${set.times} more, then 200` : ""}.`] : "");
			drawDetail();
		},
	};
}
