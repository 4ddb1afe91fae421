// Reads the status page in a headless Chromium, in both color schemes and with the keyboard alone; prints JSON.
// If a request for access waits, approves it.
// Run: status_page.mjs CHROMIUM URL FOLDER. The folder gets a screenshot for each color scheme.
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [program, url, folder] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const profile = `--user-data-dir=${join(process.env.TMPDIR, "profile")}`;
// The page is that of the program under test; root, who may run the tests, has no sandbox.
const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"];
const browser = spawn(program, [...flags, profile, "--remote-debugging-pipe", "about:blank"], {
  stdio: ["ignore", "ignore", "inherit", "pipe", "pipe"],
});
browser.on("exit", (code) => {
  if (code) throw new Error(`chromium has ended with ${code}`);
});

// The DevTools protocol over a pipe: messages are JSON, and end with a zero byte.
const waiting = new Map();
const requested = [];
const errors = [];
let buffer = "";
browser.stdio[4].setEncoding("utf8").on("data", (data) => {
  const messages = (buffer + data).split("\0");
  buffer = messages.pop();
  for (const message of messages.map((text) => JSON.parse(text))) {
    if (message.id) waiting.get(message.id)(message);
    else if (message.method === "Network.requestWillBeSent") requested.push(message.params.request.url);
    else if (message.method === "Runtime.exceptionThrown") errors.push(message.params.exceptionDetails.text);
    else if (message.method === "Log.entryAdded") errors.push(message.params.entry.text);
  }
});
let lastId = 0;
let sessionId;
async function send(method, params = {}) {
  const id = ++lastId;
  const response = new Promise((resolve) => waiting.set(id, resolve));
  browser.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + "\0");
  const { result, error } = await response;
  if (error) throw new Error(`${method}: ${error.message}`);
  return result;
}
async function evaluate(expression) {
  const { result, exceptionDetails } = await send("Runtime.evaluate", {
    expression,
    awaitPromise: true,
    returnByValue: true,
  });
  if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.text}`);
  return result.value;
}
// Resolves when the condition holds; the page changes with each status that it reads.
const until = (condition) =>
  evaluate(`new Promise((resolve) => {
    const check = () => { if (${condition}) { observer.disconnect(); resolve(); } };
    const observer = new MutationObserver(check);
    observer.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
    check();
  })`);
async function press(key, code, text) {
  const event = { key, code: key === " " ? "Space" : key, windowsVirtualKeyCode: code, text };
  await send("Input.dispatchKeyEvent", { type: text ? "keyDown" : "rawKeyDown", ...event });
  await send("Input.dispatchKeyEvent", { type: "keyUp", ...event, text: undefined });
}

const { targetId } = await send("Target.createTarget", { url: "about:blank" });
sessionId = (await send("Target.attachToTarget", { targetId, flatten: true })).sessionId;
for (const domain of ["Network", "Runtime", "Page", "Log"]) await send(`${domain}.enable`);
await send("Emulation.setDeviceMetricsOverride", { width: 1000, height: 720, deviceScaleFactor: 1, mobile: false });
await send("Page.navigate", { url });
await until("document.querySelectorAll('#servers td').length > 1");

// The lowest contrast of a text on the page with the background of the page, as WCAG defines it.
const contrast = `(() => {
  const rgb = (color) => color.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const luminance = (color) => {
    const [r, g, b] = rgb(color).map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const canvas = document.createElement("div");
  canvas.style.color = "Canvas";
  document.body.append(canvas);
  const background = luminance(getComputedStyle(canvas).color);
  canvas.remove();
  const texts = [...document.querySelectorAll("h1, h2, p, th, td, dt, dd, code")].map((item) => luminance(getComputedStyle(item).color));
  const ratio = (text) => (Math.max(text, background) + 0.05) / (Math.min(text, background) + 0.05);
  return { background, lowest: Math.min(...texts.map(ratio)) };
})()`;
const schemes = {};
for (const value of ["light", "dark"]) {
  await send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value }] });
  schemes[value] = await evaluate(contrast);
  const { data } = await send("Page.captureScreenshot", { format: "png" });
  writeFileSync(join(folder, `${value}.png`), Buffer.from(data, "base64"));
}

const focused = [];
for (let index = 0; index < 4; index += 1) {
  await press("Tab", 9);
  focused.push(
    await evaluate(`(() => {
      const { activeElement } = document;
      const visible = getComputedStyle(activeElement).outlineStyle !== "none";
      return [activeElement.id || activeElement.getAttribute("aria-labelledby"), visible];
    })()`),
  );
}
await evaluate("document.activeElement.blur()");
await evaluate("document.getElementById('pause').focus()");
await press(" ", 32, " ");
const paused = await evaluate("[document.activeElement.textContent, document.activeElement.ariaPressed]");
await press("Enter", 13, "\r");
const resumed = await evaluate("[document.activeElement.textContent, document.activeElement.ariaPressed]");

// Decides with the keyboard.
const requests = () => evaluate("[...document.querySelectorAll('#requests > li')].map((item) => item.innerText)");
const access = { waiting: await requests(), how: await evaluate("document.getElementById('access-how').textContent") };
access.address = await evaluate("location.href");
access.buttons = await evaluate(`[...document.querySelectorAll("#requests button")]
  .filter((button) => button.checkVisibility()).map((button) => [button.textContent, button.getAttribute("aria-label"), button.tabIndex])`);
if (access.buttons.length > 0) {
  await evaluate("document.querySelector('#requests button').focus()");
  await press("Enter", 13, "\r");
  await until("document.querySelector('#requests > li > p').textContent === 'approved'");
  access.outcome = await evaluate("document.getElementById('access-outcome').textContent");
}

const page = await evaluate("document.documentElement.outerHTML");
const rows = (id) => evaluate(`[...document.querySelectorAll("#${id} tr")].map((row) => [...row.cells].map((cell) => cell.textContent))`);
const [state, sessions, servers, recent] = [
  await evaluate("document.getElementById('state').textContent"),
  await rows("sessions"),
  await rows("servers"),
  await rows("recent"),
];
const unnamed = await evaluate("[...document.querySelectorAll('th')].filter((cell) => !cell.scope).length");
console.log(JSON.stringify({ state, sessions, servers, recent, schemes, focused, paused, resumed, access, page, requested, errors, unnamed }));
sessionId = undefined;
// The browser may end before its response is read, which resets the pipe.
for (const pipe of browser.stdio.slice(3)) pipe.on("error", () => {});
void send("Browser.close");
