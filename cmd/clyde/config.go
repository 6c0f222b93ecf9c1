package main

import (
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// unread marks the commands that must work while the configuration is broken.
func unread() map[string]string { return map[string]string{"config": "unread"} }

func newConfig(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show and change the configuration",
		Long: "Show and change the configuration file, $XDG_CONFIG_HOME/clyde/config.yaml. Its keys are\n\n" +
			"  registry   address of the registry, as --registry takes it\n" +
			"  progress   auto, plain or none\n" +
			"  key        private key that sign and publish --sign use\n" +
			"  store      folder of what clyde install keeps\n" +
			"  registries.NAMESPACE   address of the registry that the namespace comes from, where it is another\n\n" +
			"Flags and the environment win over it. Credentials are not kept here: see clyde login.",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	keys := func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		var out []string
		for _, f := range fields() {
			if len(args) == 0 {
				out = append(out, f.name)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "list", Short: "Print every setting", Args: wants(0, 0),
			RunE: func(*cobra.Command, []string) error { return a.configList() },
		},
		&cobra.Command{
			Use: "get KEY", Short: "Print one setting", Args: wants(1, 1), ValidArgsFunction: keys,
			RunE: func(_ *cobra.Command, args []string) error {
				f, err := fieldNamed(args[0])
				if err != nil {
					return err
				}
				v := f.get(&a.settings)
				if v == "" {
					return clyde.Errorf(clyde.ErrNotFound, "%s is not set", f.name).WithCode("config_unset").Fix("clyde config set %s VALUE", f.name)
				}
				if a.json {
					return a.emit("config", map[string]string{f.name: v})
				}
				return a.printf("%s\n", clean(v))
			},
		},
		&cobra.Command{
			Use: "set KEY VALUE", Short: "Change one setting", Args: wants(2, 2), ValidArgsFunction: keys,
			RunE: func(_ *cobra.Command, args []string) error { return a.configSet(args[0], args[1]) },
		},
		&cobra.Command{
			Use: "unset KEY", Short: "Take one setting back to its default", Args: wants(1, 1), ValidArgsFunction: keys,
			RunE: func(_ *cobra.Command, args []string) error { return a.configSet(args[0], "") },
		},
		&cobra.Command{
			Use: "path", Short: "Print where the file is", Args: wants(0, 0), Annotations: unread(),
			RunE: func(*cobra.Command, []string) error {
				if a.json {
					return a.emit("config", map[string]string{"path": a.settingsPath})
				}
				return a.printf("%s\n", a.settingsPath)
			},
		},
	)
	return cmd
}

func (a *app) configList() error {
	type setting struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	var out struct {
		Path     string    `json:"path"`
		Settings []setting `json:"settings"`
	}
	out.Path = a.settingsPath
	for _, f := range fields() {
		out.Settings = append(out.Settings, setting{f.name, f.get(&a.settings)})
	}
	for _, ns := range slices.Sorted(maps.Keys(a.settings.Registries)) {
		out.Settings = append(out.Settings, setting{bindingPrefix + ns, a.settings.Registries[ns]})
	}
	if a.json {
		return a.emit("config", out)
	}
	for _, s := range out.Settings {
		if err := a.printf("%s=%s\n", s.Key, clean(s.Value)); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) configSet(key, value string) error {
	f, err := fieldNamed(key)
	if err != nil {
		return err
	}
	if value != "" {
		if err := f.check(value); err != nil {
			return usagef("%s: %v", key, err)
		}
	}
	f.set(&a.settings, value)
	if err := a.settings.write(a.settingsPath); err != nil {
		return err
	}
	if a.json {
		return a.emit("config", map[string]string{key: value})
	}
	a.say("wrote %s", a.settingsPath)
	return nil
}
