"""Prometheus' rules and scrape configuration, and Grafana's dashboards, from the contracts and the definitions."""
