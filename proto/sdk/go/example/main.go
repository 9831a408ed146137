// Calls a running suite with the generated client, and reads an error's reason and metadata.
//
//	RIDEHAIL_TICKET=$(ridehail ticket --src driver-orders-builder --dst toll-roads) go run ./example 127.0.0.1:50051
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	tollroadsv1 "ridehail.internal/sdk/ridehail/tollroads/v1"
)

func main() {
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	client := tollroadsv1.NewTollRoadsServiceClient(connection)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "x-ya-service-ticket", os.Getenv("RIDEHAIL_TICKET"))

	road, err := client.RetrieveOrder(ctx, &tollroadsv1.RetrieveOrderRequest{OrderId: "demo-order-toll"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("demo-order-toll", road.GetHasTollRoad())

	_, err = client.RetrieveOrder(ctx, &tollroadsv1.RetrieveOrderRequest{OrderId: "no-such-order"})
	failure := status.Convert(err)
	for _, detail := range failure.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			fmt.Println(failure.Code(), info.GetReason(), info.GetDomain(), info.GetMetadata())
		}
	}
}
