// Shows the API of the listener that serves this page. Nothing is fetched from anybody else, and no token is kept.
"use strict";

Scalar.createApiReference("#api", {
  url: "/docs/openapi.json",
  withDefaultFonts: false,
  telemetry: false,
  proxyUrl: "",
  persistAuth: false,
  hideClientButton: true,
  showDeveloperTools: "never",
  agent: { disabled: true },
  mcp: { disabled: true },
});

// What Scalar's form for calls does not say to those who cannot see it: names of editors, roles, what can be scrolled.
const repairs = {
  ".cm-content:not([aria-label])": (found) => found.setAttribute("aria-label", "JSON"),
  ".cm-scroller[tabindex='-1']": (found) => found.setAttribute("tabindex", "0"),
  "button[role=none]": (found) => found.removeAttribute("role"),
  "[role=combobox][contenteditable]:not([aria-expanded])": (found) => found.setAttribute("role", "textbox"),
  "button[aria-label='Copy code'][aria-controls]": (found) => found.removeAttribute("aria-controls"),
};
const repair = () => {
  for (const [selector, mend] of Object.entries(repairs)) {
    document.querySelectorAll(selector).forEach(mend);
  }
};
new MutationObserver(repair).observe(document.body, { subtree: true, childList: true, attributes: true });
