"""The claim ledger: what a model says it is, found or did, beside what was recorded before. Pure.

No judge model: the rules are fixed, so the same transcript always has the same ledger.

What it does not catch: claims without a number, a name or an action ("the layers are similar");
numbers below three digits whose noun is unknown ("3 kinds of heads"), and counts of chosen ones
("8 layers have a larger norm"); numbers that stand behind a word of supposition in the same
sentence; a figure that is right by chance; languages but English.

Where a text does not say clearly that it speaks of the whole model ("there are 3 layers", "GPT-2
has 12 layers"), what was recorded of the model supports a number and contradicts none, and the
checkpoint has no verdict.
"""
