"""What the rider's app asks before an order; see ridehail/apiproxy/v1/api_proxy_api.proto."""
