package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/toolchain"
)

// Choices of search's flags.
var (
	sorts        = []string{"relevance", "downloads", "updated", "new", "name"}
	signedStates = []string{"verified", "untrusted", "unsigned", "invalid"}
)

const (
	defaultResults = 20
	maxResults     = 1000 // of one search: ten of the API's largest pages
	maxPage        = 100  // of the API
)

func newSearch(a *app) *cobra.Command {
	var q client.SearchQuery
	limit, forHost, hasBuild := defaultResults, false, false
	cmd := &cobra.Command{
		Use:   "search [WORD...]",
		Short: "Search for packages",
		Long: "Search names, descriptions, keywords and header paths. Words are as in the search box of the site.\n" +
			"On a terminal the results are a table; else one line each, with tabs between name, version, license,\n" +
			"downloads, signature state and description.",
		Example: "  clyde search json parser --language cpp\n  clyde search fmt/core.h\n  clyde search --namespace acme --sort downloads\n  clyde search compression --for-host",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			q.Text = strings.Join(args, " ")
			if limit < 1 || limit > maxResults {
				return usagef("--limit: %d is not between 1 and %d", limit, maxResults)
			}
			if !slices.Contains(sorts, q.Sort) {
				return usagef("--sort: %q is none", q.Sort).fix("use one of %s", strings.Join(sorts, ", "))
			}
			for _, s := range q.Signed {
				if !slices.Contains(signedStates, s) {
					return usagef("--signed: %q is none", s).fix("use one of %s", strings.Join(signedStates, ", "))
				}
			}
			for i, ns := range q.Namespace {
				q.Namespace[i] = strings.TrimPrefix(ns, "@")
			}
			if hasBuild && len(q.Build) == 0 {
				q.Build = append(q.Build, "yes")
			}
			if forHost {
				h, err := toolchain.Detect(cmd.Context(), toolchain.Options{})
				if err != nil {
					return err
				}
				q.Host = &h
			}
			c, err := a.api(cmd.Context())
			if err != nil {
				return err
			}
			var page client.SearchPage
			for q.Limit = min(limit, maxPage); ; q.Limit = min(limit-len(page.Items), maxPage) {
				next, err := c.Search(cmd.Context(), q)
				if err != nil {
					return err
				}
				next.Items = append(page.Items, next.Items...)
				page, q.Cursor = next, next.NextCursor
				if q.Cursor == "" || len(page.Items) >= limit {
					return a.showSearch(q, page)
				}
			}
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&q.Namespace, "namespace", nil, "only packages of these namespaces")
	f.StringSliceVar(&q.License, "license", nil, "only packages under these SPDX licenses")
	f.StringSliceVar(&q.Language, "language", nil, "only packages in these languages: c, cpp")
	f.StringSliceVar(&q.Platform, "platform", nil, "only packages for these platforms: linux, macos, windows, …")
	f.StringSliceVar(&q.Kind, "type", nil, "only packages of these types: "+strings.Join(packageTypes, ", "))
	f.StringSliceVar(&q.Signed, "signed", nil, "only packages with these signature states: "+strings.Join(signedStates, ", "))
	f.BoolVar(&hasBuild, "has-build", false, "only packages with a binary build of their latest version")
	f.StringSliceVar(&q.Build, "build", nil, "only packages with a binary build for these: linux, linux-x86_64, any, …")
	f.BoolVar(&forHost, "for-host", false, "only packages with a binary build that fits this machine and its compiler")
	f.StringVar(&q.Sort, "sort", "relevance", "order: "+strings.Join(sorts, ", "))
	f.IntVarP(&limit, "limit", "n", defaultResults, "most results to show")
	f.StringVar(&q.Cursor, "cursor", "", "go on where the next_cursor of an earlier --json reply says")
	f.BoolVar(&q.Facets, "facets", false, "count what the filters would give, too")
	fixedCompletion(cmd, "language", languages)
	fixedCompletion(cmd, "type", packageTypes)
	fixedCompletion(cmd, "signed", signedStates)
	fixedCompletion(cmd, "sort", sorts)
	return cmd
}

func (a *app) showSearch(q client.SearchQuery, page client.SearchPage) error {
	if a.json {
		if page.Items == nil {
			page.Items = []client.Hit{}
		}
		return a.emit("search", page)
	}
	if page.Notice != "" {
		a.say("%s", clean(page.Notice))
	}
	if page.DidYouMean != "" {
		a.say("did you mean %q?", clean(page.DidYouMean))
	}
	if len(page.Items) == 0 {
		a.say("nothing found")
		return nil
	}
	var rows [][]string
	for _, h := range page.Items {
		description := h.Description
		if h.Deprecated != "" {
			description = "(deprecated) " + description
		}
		rows = append(rows, []string{h.Name, h.Latest, h.License, strconv.FormatInt(h.Downloads, 10), h.Signed, description})
	}
	err := a.table([]column{
		{title: "NAME", gives: true}, {title: "VERSION", gives: true}, {title: "LICENSE", gives: true},
		{title: "DOWNLOADS", right: true}, {title: "SIGNED"}, {title: "DESCRIPTION", gives: true},
	}, rows)
	if err != nil {
		return err
	}
	if q.Facets {
		for _, f := range page.Facets {
			var values []string
			for _, v := range f.Values {
				values = append(values, v.Value+" "+strconv.Itoa(v.Count))
			}
			a.say("%s: %s", clean(f.Name), clean(strings.Join(values, ", ")))
		}
	}
	if len(page.Items) < page.Total {
		a.say("%d of %s; --limit shows more", len(page.Items), plural(page.Total, "package"))
	}
	return nil
}
