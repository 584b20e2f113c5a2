// An unused key in the form that the spec asks for.
export async function randomKey(store) {
	const spec = await store.once("spec");
	const scheme = Object.values(spec.components.securitySchemes).find((s) => s["x-key-pattern"]) || {};
	const parts = /^\^?([\w-]*)\[[^\]]+\]\{(\d+)\}\$?$/.exec(scheme["x-key-pattern"] || "");
	if (!parts) throw new Error("The spec's keys have a form that this page cannot make up: type one.");
	return parts[1] + [...crypto.getRandomValues(new Uint8Array(+parts[2]))].map((b) => (b % 36).toString(36)).join("");
}
