//go:build tools

// Package tools keeps the one program that this module exists to lock.
package tools

import _ "github.com/prometheus/prometheus/cmd/prometheus"
