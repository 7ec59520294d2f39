import { useEffect, useState } from "preact/hooks";
import { lost } from "./model.js";

// The time of now, every second: "in 12 s" counts down. It stands still with the server.
export function useNow() {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => lost.value || setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
