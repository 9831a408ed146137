// Command grpc_go_peer answers RetrieveOrder as toll_roads does, by grpc-go and pgx, to compare with: what the same call
// takes in a compiled server, without authentication, logs or metrics.
//
//	grpc_go_peer PORT DATABASE_URL
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

const latestRoad = `
	SELECT latest.has_toll_road, orders.can_switch_road, latest.created_at
	FROM toll_roads.orders
	CROSS JOIN LATERAL (
		SELECT has_toll_road, created_at
		FROM toll_roads.log_has_toll_road AS log
		WHERE log.order_id = orders.order_id
		ORDER BY created_at DESC
		LIMIT 1
	) AS latest
	WHERE orders.order_id = $1`

// As many as our servers have.
const maxConnections = 8

type road struct {
	hasTollRoad, canSwitch bool
	created                time.Time
}

type peer struct{ pool *pgxpool.Pool }

func (p peer) retrieveOrder(ctx context.Context, orderID string) (road, error) {
	var found road
	err := p.pool.QueryRow(ctx, latestRoad, orderID).Scan(&found.hasTollRoad, &found.canSwitch, &found.created)
	if errors.Is(err, pgx.ErrNoRows) {
		return road{}, status.Error(codes.NotFound, "no such order")
	}
	return found, err
}

// The two messages are written out, which spares generated code: a text, and two flags with a timestamp.

func orderIDOf(request []byte) (string, error) {
	number, kind, length := protowire.ConsumeTag(request)
	if length < 0 || number != 1 || kind != protowire.BytesType {
		return "", status.Error(codes.InvalidArgument, "order_id is missing")
	}
	value, length := protowire.ConsumeString(request[length:])
	if length < 0 {
		return "", status.Error(codes.InvalidArgument, "order_id is cut off")
	}
	return value, nil
}

func (r road) encoded() []byte {
	var created []byte
	created = appendVarint(created, 1, uint64(r.created.Unix()))
	created = appendVarint(created, 2, uint64(r.created.Nanosecond()))
	var message []byte
	message = appendVarint(message, 1, protowire.EncodeBool(r.hasTollRoad))
	message = appendVarint(message, 2, protowire.EncodeBool(r.canSwitch))
	message = protowire.AppendTag(message, 3, protowire.BytesType)
	return protowire.AppendBytes(message, created)
}

func appendVarint(message []byte, field protowire.Number, value uint64) []byte {
	if value == 0 {
		return message
	}
	return protowire.AppendVarint(protowire.AppendTag(message, field, protowire.VarintType), value)
}

// rawCodec passes encoded messages through.
type rawCodec struct{}

func (rawCodec) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }

func (rawCodec) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = data
	return nil
}

func (rawCodec) Name() string { return "proto" }

func handle(server any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	var request []byte
	if err := decode(&request); err != nil {
		return nil, err
	}
	orderID, err := orderIDOf(request)
	if err != nil {
		return nil, err
	}
	found, err := server.(peer).retrieveOrder(ctx, orderID)
	if err != nil {
		return nil, err
	}
	response := found.encoded()
	return &response, nil
}

func serve(port, url string) error {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return err
	}
	config.MaxConns = maxConnections
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return err
	}
	defer pool.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.ForceServerCodec(rawCodec{}))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "ridehail.tollroads.v1.TollRoadsService",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "RetrieveOrder", Handler: handle}},
	}, peer{pool})
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		server.GracefulStop()
	}()
	return server.Serve(listener)
}

func main() {
	if err := serve(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "grpc_go_peer:", err)
		os.Exit(1)
	}
}
