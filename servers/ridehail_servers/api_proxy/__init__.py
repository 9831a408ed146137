"""What the rider's app calls before and during a ride; see ridehail/apiproxy/v1/api_proxy_api.proto."""
