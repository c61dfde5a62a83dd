import { createLogger } from "@slipway/base";
import { serveApi } from "./index.ts";
import { fakeBackends, someContainer } from "./testing/fake-backends.ts";
const log = createLogger({level:"debug",format:"text",write:(l)=>console.log(l)});
const s=await serveApi({backends:fakeBackends({containers:{list:async()=>[someContainer()],inspect:async()=>someContainer()}}),addresses:[{kind:"unix",path:"/tmp/sx/f.sock"}],log});
console.log(s.addresses);
