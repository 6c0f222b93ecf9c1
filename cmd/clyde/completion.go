package main

import (
	"github.com/spf13/cobra"
)

func newCompletion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print a completion script for bash, zsh, fish or powershell",
		Long: "Print a script that completes commands, flags and names of packages, which it asks the registry for.\n\n" +
			"  bash         source <(clyde completion bash)\n" +
			"  zsh          clyde completion zsh > \"${fpath[1]}/_clyde\"\n" +
			"  fish         clyde completion fish > ~/.config/fish/completions/clyde.fish\n" +
			"  powershell   clyde completion powershell | Out-String | Invoke-Expression",
		Args:        wants(1, 1),
		ValidArgs:   []string{"bash", "zsh", "fish", "powershell"},
		Annotations: unread(),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.stdout, true)
			case "zsh":
				return root.GenZshCompletion(a.stdout)
			case "fish":
				return root.GenFishCompletion(a.stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.stdout)
			}
			return usagef("there is no completion for %q", args[0]).fix("use bash, zsh, fish or powershell")
		},
	}
}

// fixedCompletion has the flag called name completed from values.
func fixedCompletion(cmd *cobra.Command, name string, values []string) {
	// The only error is a flag that does not exist, which the tests would show.
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}
