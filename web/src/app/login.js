// Asks for the token where the server wants one.

import { useState } from "preact/hooks";
import { html, Section } from "../html.js";
import { follow } from "./live.js";
import { keepToken } from "./token.js";

export function Login() {
  const [text, setText] = useState("");
  const submit = async (event) => {
    event.preventDefault();
    keepToken(text.trim());
    await follow();
  };
  return html`<main>
    <${Section} id="login" title="This inventory asks for its token">
      <p>The server printed an address with the token in it when it began; <code>comfy-inventory serve</code> shows it again. The token stays in this tab.</p>
      <form class="bar" onSubmit=${submit}>
        <label>Token <input type="password" autocomplete="current-password" value=${text} onInput=${(event) => setText(event.target.value)} /></label>
        <button>Open</button>
      </form>
    <//>
  </main>`;
}
