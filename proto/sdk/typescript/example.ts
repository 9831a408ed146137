// Calls a running suite with the generated client, and reads an error's reason and metadata.
//
//     RIDEHAIL_TICKET=$(ridehail ticket --src driver-orders-builder --dst toll-roads) node example.js 127.0.0.1:50051
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { ErrorInfoSchema } from "./google/rpc/error_details_pb.js";
import { TollRoadsService } from "./ridehail/tollroads/v1/toll_roads_api_pb.js";

const transport = createGrpcTransport({ baseUrl: `http://${process.argv[2]}`, defaultTimeoutMs: 10_000 });
const client = createClient(TollRoadsService, transport);
const options = { headers: { "x-ya-service-ticket": process.env["RIDEHAIL_TICKET"] ?? "" } };

const road = await client.retrieveOrder({ orderId: "demo-order-toll" }, options);
console.log("demo-order-toll", road.hasTollRoad);

try {
  await client.retrieveOrder({ orderId: "no-such-order" }, options);
} catch (error) {
  const failure = ConnectError.from(error);
  for (const info of failure.findDetails(ErrorInfoSchema)) {
    console.log(Code[failure.code], info.reason, info.domain, JSON.stringify(info.metadata));
  }
}
