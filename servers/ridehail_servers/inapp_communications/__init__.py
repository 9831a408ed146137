"""Which banners the card of a ride shows; see ridehail/inapp/v1/inapp_api.proto."""
