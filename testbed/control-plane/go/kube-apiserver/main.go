// Command kube-apiserver is Kubernetes' own API server, built from its Go module.
package main

import (
	"os"
	_ "time/tzdata"

	"k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

// An API server tells itself apart from others, in its lease and its metrics, by the name of its host. In AKS each one has
// a host of its own; several on one machine are given theirs.
const hostname = "KUBE_APISERVER_HOSTNAME"

func main() {
	if name := os.Getenv(hostname); name != "" {
		server.SetHostnameFuncForTests(name)
	}
	os.Exit(cli.Run(app.NewAPIServerCommand()))
}
