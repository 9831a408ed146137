// Reads dashboards strictly as Grafana's own model: fields that are unknown, of another type or missing are errors.
package main

import (
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

func main() {
	runtime := cog.NewRuntime()
	runtime.RegisterPanelcfgVariant(heatmap.VariantConfig())
	runtime.RegisterPanelcfgVariant(stat.VariantConfig())
	runtime.RegisterPanelcfgVariant(timeseries.VariantConfig())
	runtime.RegisterDataqueryVariant(prometheus.VariantConfig())
	failed := false
	for _, name := range os.Args[1:] {
		content, err := os.ReadFile(name)
		if err != nil {
			panic(err)
		}
		read := dashboard.Dashboard{}
		// What they return is never nil: an empty list is no error.
		for _, err := range []error{read.UnmarshalJSONStrict(content), read.Validate()} {
			if err != nil && err.Error() != "" {
				fmt.Printf("%s: %s\n", name, err)
				failed = true
			}
		}
	}
	if failed {
		os.Exit(1)
	}
}
