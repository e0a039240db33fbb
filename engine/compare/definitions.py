"""What every measure is, exactly, in one sentence: by the name of the measure.

"Per investigation" is the mean over investigations; anything else is a ratio of sums over them.
"""

DEFINITIONS = {
    "error_rate": "Executions that raised, ran out of time or lost their process, per execution.",
    "turns": "Completions per investigation, those it shares with another one of its run included;"
    " what a fork has from another run is in no measure.",
    "code_blocks": "Executions per investigation.",
    "execution_errors": "Executions that raised, ran out of time or lost their process, per"
    " investigation.",
    "repair_rate": "Of the failed executions, those whose next execution in the same experiment ran"
    " to its end; the last one of an experiment counts as not repaired.",
    "silent_share": "Turns in which nothing was executed, per turn.",
    "cut_share": "Completions that ended at the limit of tokens, per turn.",
    "repetition": "Turns whose reply and outputs are those of the turns before them (in cycles of"
    " up to three turns) or whose reply says one passage over and over, per turn.",
    "calls": "Introspection calls per investigation, refused ones included.",
    "failed_call_share": "Introspection calls that were refused, per call.",
    "api_coverage": "Distinct introspection functions that answered, of those that the condition"
    " grants; mean of the investigations.",
    "help_blocks": "Executed blocks that call help() or dir(), found in their syntax tree, per"
    " investigation.",
    "findings": "Calls of memory.record_observation that succeeded, per investigation.",
    "findings_read": "Calls that read findings and succeeded, per investigation.",
    "claims_grounded": "Claims that an output, a call or a finding recorded before supports, per"
    " claim.",
    "claims_contradicted": "Claims that contradict what was recorded before, per claim.",
    "claims_unmeasured": "Claims that nothing recorded before is about, per claim.",
    "claims_pretended": "Claims to have done what no recorded call did, per investigation.",
    "introspection_accuracy": "Of the claims about the structure of the model that its checkpoint"
    " can judge, those that are so.",
    "requirements_met": "Experiments with requirements that had all that was required when they"
    " ended, what was done before a fork included, per experiment with requirements.",
    "censored": "Investigations of which an experiment was ended by a limit of turns, tokens, time"
    " or window, per investigation.",
    "prompt_tokens": "Tokens of all prompts as the server counted them, per investigation; those"
    " whose server tells no counts are left out.",
    "cached_share": "Tokens of prompts that the server took from its prefix cache, per token of a"
    " prompt.",
    "completion_tokens": "Tokens of all replies as the server counted them, likewise.",
    "model_s": "Seconds between sending a request and its reply, summed, per investigation.",
    "execution_s": "Seconds that code blocks computed, summed, per investigation.",
    "tokens_per_s": "Tokens of replies per second of waiting for the model.",
}
