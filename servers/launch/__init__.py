"""Starting vLLM servers one by one, keeping them alive, ending them without a trace."""
