#!/usr/bin/env bash
# Train every paper's model by its recipe on FER2013, three seeds each, and measure speed against the plain way:
#
#   bash benchmarks/gpu.sh fer2013.csv WORK [--minutes 10] [--seeds "0 1 2"] [--models "resemotenet resmasking"]
#                                           [--imagenet] [--reduced]
#
# A call ends after --minutes (default: when all is done); the next one goes on within an epoch's time, also on another
# machine that has WORK. At the end WORK/figures.toml has the entries for fercli/recipes/measured/figures.toml, and
# WORK/rows.md the rows for RESULTS.md. --imagenet starts from ImageNet's weights, where a model has them (they are
# downloaded, or in the cache); without it models whose recipe freezes a pretrained backbone are left out. --reduced
# tries all of it on a CPU in minutes: small variants, two epochs; its figures mean nothing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
csv=$(realpath "$1") work=$2
shift 2
minutes="" seeds="0 1 2" imagenet="" reduced=""
models="emotionnet resnet50-cbam vgg19-cbam inception-v3-cbam vgg19-cbam-elu resemotenet patt-lite resmasking emonext-tiny
  arbex poster-v2 ddamfn quick small"
while (($#)); do
  case $1 in
    --minutes) minutes=$2; shift 2 ;;
    --seeds) seeds=$2; shift 2 ;;
    --models) models=$2; shift 2 ;;
    --imagenet) imagenet=yes; shift ;;
    --reduced) reduced=yes; shift ;;
    *) echo "gpu.sh: unknown option $1" >&2; exit 2 ;;
  esac
done
mkdir -p "$work" && cd "$work"
began=$SECONDS

# Run a command within what is left of the minutes; when they are over, end with 75: call again.
within() {
  local left=$((minutes ? minutes * 60 - (SECONDS - began) : 0)) code=0
  if [[ -n $minutes ]] && ((left < 5)); then echo "gpu.sh: the time is over; repeat the call to go on" >&2; exit 75; fi
  if [[ -n $minutes ]]; then timeout --signal=INT "$left" "$@" || code=$?; else "$@" || code=$?; fi
  if ((code == 124 || code == 130)); then echo "gpu.sh: the time is over; repeat the call to go on" >&2; exit 75; fi
  return $code
}

within fer import "$csv" dataset --quiet
within fer clean dataset cleaned --quiet
within fer pack cleaned pack --quiet

for model in $models; do
  options=() weights=()
  [[ -n $reduced ]] && options=(--reduced --epochs 2)
  if [[ -n $imagenet && $(fer models "$model" --json | python -c 'import json, sys; print(json.load(sys.stdin)[0]["imagenet"] or "")') ]]; then
    weights=(--weights imagenet)
  elif [[ $model == patt-lite* && -z $reduced ]]; then
    echo "gpu.sh: $model is left out: its recipe freezes ImageNet's weights; give --imagenet" >&2
    continue
  fi
  for seed in $seeds; do
    run=runs/$model-$seed
    within fer train pack "$run" --model "$model" --seed "$seed" ${options[@]+"${options[@]}"} ${weights[@]+"${weights[@]}"} --quiet
    within fer evaluate "$run" pack "evaluations/$model-$seed" --tta flip --quiet
  done
done

if [[ ! -f speed.txt ]]; then
  steps=60 sd=(--layers sd15)
  [[ -n $reduced ]] && steps=4 sd=(--layers tiny --steps 2 --size 64 --images 4 --device cpu)
  {
    for model in quick resnet18; do
      echo "training_speed.py --model $model"
      within python "$here/training_speed.py" dataset pack --model "$model" --steps "$steps" --rounds 3
    done
    echo "generation_speed.py ${sd[*]}"
    within python "$here/generation_speed.py" "${sd[@]}"
  } > speed.partial
  mv speed.partial speed.txt
fi
python "$here/gpu_figures.py" . > rows.md
cat rows.md speed.txt
