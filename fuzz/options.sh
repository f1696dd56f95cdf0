# Sourced with the name of a target: how far the fuzzer follows a lead, in `how_far`. Without these bounds the corpus drifts
# towards long inputs that say the same thing over and over, and every execution with it.
case $1 in
  # The small bounds of its configurations (40 bytes of a request line, 160 of a head) stand within half of that.
  head) how_far=(-max_len=256) ;;
  # Edges, without how often each was passed: a conversation with one request more is news otherwise, which made four times
  # as many inputs and an execution take twice as long, for one edge in a hundred.
  connection) how_far=(-max_len=256 -use_counters=0) ;;
  *) how_far=(-max_len=512) ;;
esac
